// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include "program_path.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace dunlin::program {
namespace {

struct Pipe {
    int read_end = -1, write_end = -1;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
        read_end = ends[0];
        write_end = ends[1];
    }
};

}  // namespace

Folder::Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "dunlin-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = name;
}

Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string Folder::file(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
}

Running::Running(const Folder& folder, const std::vector<std::string>& arguments, const std::string& program) {
    std::vector<std::string> words = parts(program, ' ');
    if (program.find_first_of(" /") == std::string::npos) {
        words[0] = std::filesystem::path(DUNLIN_PROGRAM).replace_filename(program).string();
    }
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    const Pipe out, err;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out.write_end, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.write_end, STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, folder.path().c_str());
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    const int failed = ::posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    ::close(out.write_end);
    ::close(err.write_end);
    out_ = out.read_end;
    err_ = err.read_end;
    if (failed != 0) throw std::runtime_error("the program does not start: " + words[0]);
}

Running::~Running() {
    if (!waited_) {
        send(SIGKILL);
        wait();
    }
}

bool Running::read_some() {
    pollfd waiting[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
    if (out_ < 0 && err_ < 0) return false;
    if (::poll(waiting, 2, -1) < 0) return errno == EINTR;
    for (int k = 0; k < 2; ++k) {
        int& descriptor = k == 0 ? out_ : err_;
        if (descriptor < 0 || waiting[k].revents == 0) continue;
        char block[4096];
        const ssize_t count = ::read(descriptor, block, sizeof block);
        if (count > 0) {
            (k == 0 ? ended_.out : ended_.err).append(block, static_cast<std::size_t>(count));
        } else {
            ::close(descriptor);
            descriptor = -1;
        }
    }
    return true;
}

bool Running::wait_for_error_text(const std::string& text) {
    while (ended_.err.find(text) == std::string::npos) {
        if (!read_some()) return false;
    }
    return true;
}

void Running::send(int signal) const {
    ::kill(pid_, signal);
}

Ended Running::wait() {
    while (read_some()) {
    }
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    waited_ = true;
    if (WIFEXITED(status)) ended_.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) ended_.signal = WTERMSIG(status);
    return ended_;
}

bool Running::everyone_ends() const {
    for (int waited_ms = 0; anyone_left() && waited_ms < 10'000; waited_ms += 5) ::poll(nullptr, 0, 5);
    return !anyone_left();
}

bool Running::anyone_left() const {
    return ::kill(-pid_, 0) == 0;
}

Ended run(const Folder& folder, const std::vector<std::string>& arguments) {
    return Running(folder, arguments).wait();
}

std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("no file " + path.string());
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

nlohmann::json read_json(const std::filesystem::path& path) {
    return nlohmann::json::parse(read(path));
}

std::vector<std::string> parts(const std::string& text, char separator) {
    std::vector<std::string> all;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);) all.push_back(part);
    return all;
}

std::vector<std::string> lines(const std::string& text) {
    return parts(text, '\n');
}

std::vector<std::vector<std::string>> csv(const std::string& text) {
    std::vector<std::vector<std::string>> rows;
    for (const std::string& line : lines(text)) {
        std::vector<std::string> fields{""};
        for (const char c : line) {
            if (c == ',')
                fields.emplace_back();
            else
                fields.back() += c;
        }
        rows.push_back(fields);
    }
    return rows;
}

std::vector<std::string> small_run(const std::string& command, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{command,
                                       "navigation",
                                       "--set=environment.map=empty-4x4",
                                       "--set=rl.iterations=4",
                                       "--set=rl.horizon=10",
                                       "--set=rl.trajectories=10",
                                       "--set=rl.inner_steps=3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

}  // namespace dunlin::program
