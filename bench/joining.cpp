// SPDX-License-Identifier: Apache-2.0
// Many real nodes join one coordinator over loopback with CURVE: how long it takes, and what a node takes of
// memory.
//
//     dunlin_bench_joining DUNLIN_NODE [NODES]        (the path of the program; 200)
#include "fleet/coordinator/fleet_server.hpp"
#include "raw_zeromq.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::bench;

namespace {

/// Kilobytes of a line of /proc/PROCESS/FILE.
double kilobytes(pid_t process, const char* file, const char* name) {
    std::ifstream in("/proc/" + std::to_string(process) + "/" + file);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(name)) return std::strtod(line.c_str() + std::strlen(name) + 1, nullptr);
    }
    return 0;
}

pid_t start(const std::vector<std::string>& command) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t process = fork();
    if (process != 0) return process;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) give_up("dunlin_bench_joining DUNLIN_NODE [NODES]: this");
    if (access(argv[1], X_OK) != 0) give_up(argv[1]);
    const int count = argc > 2 ? std::atoi(argv[2]) : 200;
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("dunlin-joining-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory);
    FleetServerSettings settings;
    settings.directory = directory / "store";
    std::filesystem::create_directories(settings.directory);
    settings.link.endpoint = "tcp://127.0.0.1:*";
    settings.link.keys = KeyPair::make().value();
    Journal nobody;
    auto server = FleetServer::open(settings, nobody);
    if (!server) give_up(server.error().text.c_str());
    Coordinator& coordinator = (*server)->coordinator();
    const double before_kb = kilobytes(getpid(), "status", "VmRSS:");
    for (int k = 0; k < count; ++k) {
        const std::string name = "node-" + std::to_string(k), folder = (directory / name).string();
        std::filesystem::create_directories(folder);
        const KeyPair keys = KeyPair::make().value();
        if (!keys.save(folder + "/key") ||
            !coordinator.admit({.name = name, .key = keys.public_key(), .labels = {}}))
            give_up("admitting");
    }
    const auto begin = Clock::now();
    std::vector<pid_t> processes;
    for (int k = 0; k < count; ++k) {
        const std::string name = "node-" + std::to_string(k);
        processes.push_back(
            start({argv[1], "run", "--dir", (directory / name).string(), "--name", name, "--join",
                   (*server)->link().endpoint(), "--server-key", to_hex(settings.link.keys.public_key())}));
        (void)(*server)->turn(0);
    }
    const double started_s = seconds_since(begin);
    const auto joined = [&] {
        int there = 0;
        for (std::uint32_t k = 0; k < static_cast<std::uint32_t>(count); ++k) {
            const Connection* connection = coordinator.connection(k);
            there += connection != nullptr && connection->welcome ? 1 : 0;
        }
        return there;
    };
    while (joined() < count && seconds_since(begin) < 300) {
        (void)(*server)->turn(20);
        if (waitpid(-1, nullptr, WNOHANG) > 0) give_up("a node");
    }
    const double joined_s = seconds_since(begin);
    std::vector<double> resident, own;
    for (const pid_t process : processes) {
        resident.push_back(kilobytes(process, "status", "VmRSS:") / 1024);
        own.push_back(kilobytes(process, "smaps_rollup", "Pss:") / 1024);
    }
    const double server_kb = kilobytes(getpid(), "status", "VmRSS:") - before_kb;
    std::printf("%d of %d nodes joined in %.1f s (%.1f s to start the processes)\n", joined(), count, joined_s,
                started_s);
    std::printf("a node: %.1f MB resident, %.1f MB of them its share of what processes have in common (median)\n",
                median(resident), median(own));
    std::printf("the coordinator: %.0f kB more per node\n", server_kb / count);
    for (const pid_t process : processes) kill(process, SIGKILL);
    for (const pid_t process : processes) waitpid(process, nullptr, 0);
    std::filesystem::remove_all(directory);
    return joined() == count ? 0 : 1;
}
