// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace dunlin::app {

/// The page of a folder of runs, for the browsers of this machine: the fleet's web server (fleet/web/web_server.hpp) on
/// 127.0.0.1, with runs to read in the place of a desk. Who looks logs in by a link that opens once.
class ViewServer {
public:
    /// Port 0: any free one. Error: the address is taken.
    static Outcome<std::unique_ptr<ViewServer>> open(const std::filesystem::path& root, std::uint16_t port);
    ~ViewServer();

    std::string address() const;  ///< "http://127.0.0.1:7711/"
    /// The address with a code that logs a browser in, once, within a day.
    std::string link();
    /// Serves until `stop` says so. Whenever a link was used, `another` is told the next one.
    void serve(const std::function<bool()>& stop, const std::function<void(const std::string&)>& another);

private:
    struct Implementation;
    explicit ViewServer(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin::app
