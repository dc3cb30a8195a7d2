// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/types.h>

/// The `dunlin` program as a person or a script meets it: arguments in; exit code, stdout, stderr and files out.
namespace dunlin::program {

/// A directory that is gone with its test.
class Folder {
public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }
    /// Writes a file into the directory and returns its path.
    std::string file(const std::string& name, const std::string& text) const;

private:
    std::filesystem::path path_;
};

struct Ended {
    int code = -1;    ///< exit code; -1 when a signal ended it
    int signal = 0;   ///< that signal
    std::string out;  ///< stdout
    std::string err;  ///< stderr
};

/// A running program, in a process group of its own.
class Running {
public:
    /// Starts `dunlin`, or the program of this name beside it, with these arguments in `folder`. A program with a
    /// path, or several words of which the first is searched for in PATH, is started as it stands.
    Running(const Folder& folder, const std::vector<std::string>& arguments, const std::string& program = "dunlin");
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    /// Returns when stderr holds `text`, or false when the program ended without it.
    bool wait_for_error_text(const std::string& text);
    void send(int signal) const;
    pid_t process() const { return pid_; }
    Ended wait();
    /// Whether all of the group are gone, or are within ten seconds: who was killed leaves children that the system
    /// has to bury.
    bool everyone_ends() const;
    /// Whether a process of the group lives.
    bool anyone_left() const;

private:
    bool read_some();

    pid_t pid_ = -1;
    int out_ = -1, err_ = -1;
    bool waited_ = false;
    Ended ended_;
};

Ended run(const Folder& folder, const std::vector<std::string>& arguments);

std::string read(const std::filesystem::path& path);
nlohmann::json read_json(const std::filesystem::path& path);
std::vector<std::string> parts(const std::string& text, char separator);
std::vector<std::string> lines(const std::string& text);
/// Fields of the lines of a CSV text without quotes.
std::vector<std::vector<std::string>> csv(const std::string& text);

/// Arguments that make a navigation run short, before those of `more`.
std::vector<std::string> small_run(const std::string& command, const std::vector<std::string>& more);

}  // namespace dunlin::program
