// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin-node/commands.hpp"

#include "apps/checks.hpp"
#include "apps/output.hpp"
#include "core/kernels.hpp"
#include "fleet/node/node.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/shell_text.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace dunlin::node_app {
namespace {

constexpr int failed = 1, wrong_input = 2;

std::atomic<bool> stop_wanted{false}, leave_wanted{false};
const Node* running = nullptr;

void on_signal(int signal) {
    (signal == SIGUSR1 ? leave_wanted : stop_wanted) = true;
    if (running != nullptr) running->wake();
}

int complain(int code, const std::string& text) {
    app::note("dunlin-node: {}\n", text);
    return code;
}

NodeLog make_log(bool json) {
    return [json](std::string_view event, const std::string& text) {
        const std::string time = fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)));
        if (json) {
            const nlohmann::ordered_json line{{"time", time}, {"event", event}, {"text", text}};
            app::note("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
        } else {
            app::note("{} {}\n", time, shown(text, false));
        }
    };
}

std::string software() {
    utsname names{};
    uname(&names);
    return fmt::format("dunlin-node {} {} {}", DUNLIN_VERSION, names.machine, (*find_kernels("fast"))->name);
}

std::string key_file(const std::string& directory) {
    return directory + "/key";
}

}  // namespace

std::string default_directory() {
    if (geteuid() == 0) return "/var/lib/dunlin-node";
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') {
        return std::string(state) + "/dunlin-node";
    }
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : ".") + "/.local/state/dunlin-node";
}

std::string host_name() {
    utsname names{};
    return uname(&names) == 0 ? names.nodename : "node";
}

Outcome<KeyPair> need_keys(const std::string& directory, bool& made) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return unable(fmt::format("{}: {}", directory, error.message()));
    auto keys = KeyPair::load(key_file(directory));
    made = !keys.has_value();
    if (keys) return *keys;
    if (keys.error().code != Code::file_missing) return refuse(keys.error(), key_file(directory));
    keys = KeyPair::make();
    if (!keys) return refuse(keys.error(), "a key pair");
    if (auto saved = keys->save(key_file(directory)); !saved) return refuse(saved.error(), key_file(directory));
    return *keys;
}

int make_keys(const std::string& directory, bool json) {
    bool made = false;
    const auto keys = need_keys(directory, made);
    if (!keys) return complain(failed, keys.error().text);
    const bool there = !made;
    const std::string key = to_hex(keys->public_key());
    if (json) {
        app::say("{}\n",
                 nlohmann::ordered_json{{"public_key", key}, {"directory", directory}, {"made", !there}}.dump());
    } else {
        app::say("{}\n", key);
    }
    app::note("{} key in {}\nnext, on the coordinator: dunlin fleet admit {} {}\n", there ? "the" : "made a",
              directory, shell_word(host_name()), key);
    return 0;
}

int run_node(const std::string& directory, RunOptions options) {
    if (options.endpoints.empty()) {
        const auto enrolled = read_enrolled(directory);
        if (!enrolled) return complain(wrong_input, enrolled.error().text);
        options.endpoints.push_back(enrolled->endpoint);
        if (options.server_key.empty()) options.server_key = enrolled->server_key;
        if (options.name.empty()) options.name = enrolled->name;
    }
    NodeSettings settings;
    settings.name = options.name.empty() ? host_name() : options.name;
    if (const std::string wrong = app::check_node_name(settings.name); !wrong.empty())
        return complain(wrong_input, fmt::format("--name {}: {}", settings.name, wrong));
    settings.directory = directory;
    settings.memory_bytes = options.memory_mb << 20;
    settings.store_every = options.store_every;
    settings.software = software();
    settings.make_task = [own = options.data](const JobTerms& terms) { return make_node_task_with(own, terms); };
    settings.link.endpoint = options.endpoints.front();
    settings.link.others.assign(options.endpoints.begin() + 1, options.endpoints.end());
    settings.link.listen = options.listen;
    settings.link.share_bytes = std::size_t{1} << 20;  // until a job is offered that needs more
    settings.link.insecure = options.insecure;
    auto keys = KeyPair::load(key_file(directory));
    if (!keys) {
        const bool missing = keys.error().code == Code::file_missing;
        return complain(wrong_input,
                        describe(keys.error(), key_file(directory)).text +
                            (missing ? "\nfirst: dunlin-node init --dir " + shell_path(directory) : ""));
    }
    settings.link.keys = *keys;
    if (!options.server_key.empty()) {
        const auto server = parse_public_key(options.server_key);
        if (!server) return complain(wrong_input, describe(server.error(), "--server-key").text);
        settings.link.server_key = *server;
    } else if (!options.insecure) {
        return complain(wrong_input, "--server-key is missing: `dunlin fleet status` on the coordinator shows it");
    }
    if (options.with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == 1) return 0;
    }
    std::signal(SIGPIPE, SIG_IGN);  // whoever read the log may go
    auto node = Node::make(std::move(settings), make_log(options.log_format == "json"));
    if (!node) return complain(node.error().unable ? failed : wrong_input, node.error().text);
    std::ofstream(directory + "/pid") << getpid() << '\n';
    running = node->get();
    struct sigaction action {};
    action.sa_handler = on_signal;
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) sigaction(signal, &action, nullptr);
    (*node)->run(stop_wanted, leave_wanted);
    running = nullptr;
    std::error_code ignored;
    std::filesystem::remove(directory + "/pid", ignored);
    // Nobody waits for the gradient that is under way, and whatever counts is on disk at every instant.
    if ((*node)->busy()) std::_Exit(0);
    return 0;
}

int leave_fleet(const std::string& directory, bool json) {
    // While a node runs it holds the lock. After a loss of power a number may be left that is a stranger's by now.
    const auto lock = posix_file_system().lock(directory + "/lock");
    if (lock) {
        std::error_code ignored;
        std::filesystem::remove(directory + "/pid", ignored);
    }
    if (lock || lock.error().code == Code::file_missing) {
        return complain(failed, fmt::format("no node runs in {}", directory));
    }
    if (lock.error().code != Code::store_in_use) {
        return complain(failed, describe(lock.error(), directory + "/lock").text);
    }
    pid_t pid = 0;
    if (!(std::ifstream(directory + "/pid") >> pid) || pid <= 1) {
        return complain(
            failed,
            fmt::format("the node in {} is only starting, or ending: try again; or a gateway has it", directory));
    }
    if (kill(pid, SIGUSR1) != 0) return complain(failed, fmt::format("process {}: {}", pid, std::strerror(errno)));
    if (json) app::say("{}\n", nlohmann::ordered_json{{"process", pid}, {"directory", directory}}.dump());
    app::note("process {} hands over what it holds and ends; `dunlin fleet nodes` on the coordinator shows it\n",
              pid);
    return 0;
}

}  // namespace dunlin::node_app
