// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/run_index.hpp"
#include "training/host/failure.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace dunlin::app {

/// A file of the page, embedded when the program is built.
struct ViewFile {
    std::string_view path;  ///< "/view.js"
    std::string_view type;
    std::string_view text;
};
std::span<const ViewFile> view_files();

/// The page of a folder of runs, for the browsers of this machine: HTTP on 127.0.0.1, read only. A request whose Host is
/// not this address is answered by 421, so that a name that another site makes point here reads nothing. One thread.
class ViewServer {
public:
    /// Port 0: any free one. Error: the address is taken.
    static Outcome<std::unique_ptr<ViewServer>> open(const std::filesystem::path& root, std::uint16_t port);
    ~ViewServer();

    std::string address() const;  ///< "http://127.0.0.1:7711/"
    /// Serves until `stop` says so.
    void serve(const std::function<bool()>& stop);

private:
    struct Implementation;
    explicit ViewServer(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin::app
