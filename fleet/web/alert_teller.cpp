// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/alert_teller.hpp"

#include "fleet/https/https_client.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dunlin {
namespace {

/// "": it took it.
std::string post(const AlertRule& rule, const std::string& json) {
    WebTarget target{.url = rule.webhook, .token = {}, .ca = rule.webhook_ca, .pin = rule.webhook_pin};
    target.option = "webhook";
    target.path = true;
    const auto reply =
        post_web(target, {.path = {}, .type = "application/json", .body = json}, AlertTeller::webhook_ms);
    if (!reply) return reply.error().text;
    if (reply->status / 100 == 2) return {};
    return fmt::format("{}: it answered {}", rule.webhook, reply->status);
}

class Descriptor {
public:
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    int number() const { return number_; }
    void close() {
        if (number_ >= 0) ::close(std::exchange(number_, -1));
    }

private:
    int number_;
};

/// What a command is started with: an end of a pipe, and nothing else of this process.
int start(const std::vector<std::string>& command, int input, pid_t& process) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::string path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    std::array<char*, 2> environment{path.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) sigaddset(&usual, signal);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    const int error =
        posix_spawn(&process, arguments[0], &actions, &attributes, arguments.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

/// "": it ended with 0.
std::string run(const std::vector<std::string>& command, const std::string& json) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return fmt::format("{}: {}", command[0], std::strerror(errno));
    Descriptor input(ends[0]), output(ends[1]);
    pid_t process = 0;
    if (const int error = start(command, input.number(), process); error != 0)
        return fmt::format("{}: {}", command[0], std::strerror(error));
    input.close();
    // A line is less than a pipe holds, so that this does not wait; whoever does not read it need not.
    (void)!::write(output.number(), json.data(), json.size());
    output.close();
    using namespace std::chrono;
    const auto give_up = steady_clock::now() + milliseconds(AlertTeller::command_ms);
    int status = 0;
    for (;;) {
        const pid_t ended = waitpid(process, &status, WNOHANG);
        if (ended == process) break;
        if (ended < 0 && errno != EINTR) return fmt::format("{}: {}", command[0], std::strerror(errno));
        if (steady_clock::now() > give_up) {
            ::kill(-process, SIGKILL);
            waitpid(process, &status, 0);
            return fmt::format("{}: it did not end within {} s, and was killed", command[0],
                               AlertTeller::command_ms / 1000);
        }
        std::this_thread::sleep_for(milliseconds(10));
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    if (WIFEXITED(status)) return fmt::format("{}: it ended with {}", command[0], WEXITSTATUS(status));
    return fmt::format("{}: signal {} ended it", command[0], WTERMSIG(status));
}

}  // namespace

AlertTeller::AlertTeller() : thread_([this] { live(); }) {}

AlertTeller::~AlertTeller() {
    {
        const std::lock_guard lock(mutex_);
        ends_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void AlertTeller::tell(const AlertRule& rule, const AlertChange& change, std::int64_t unix_ms) {
    if (rule.webhook.empty() && rule.command.empty()) return;
    const nlohmann::ordered_json told{{"state", change.raised ? "raised" : "over"},
                                      {"rule", rule.when},
                                      {"text", change.alert.text},
                                      {"node", change.alert.node},
                                      {"job", change.alert.job},
                                      {"time_ms", unix_ms}};
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= most_waiting) {
        told_.push_back({"nobody", change.alert.text, fmt::format("{} alerts wait already", most_waiting)});
        return;
    }
    waiting_.push_back({rule, change.alert.text,
                        told.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n"});
    changed_.notify_all();
}

std::vector<AlertTold> AlertTeller::told() {
    const std::lock_guard lock(mutex_);
    return std::exchange(told_, {});
}

void AlertTeller::live() {
    sigset_t broken;  // a command that does not read is no end of this program
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, nullptr);
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
        if (ends_) return;
        const Message message = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        std::vector<AlertTold> done;
        if (!message.rule.webhook.empty())
            done.push_back({"webhook", message.text, post(message.rule, message.json)});
        if (!message.rule.command.empty())
            done.push_back({"command", message.text, run(message.rule.command, message.json)});
        lock.lock();
        told_.insert(told_.end(), done.begin(), done.end());
    }
}

}  // namespace dunlin
