// SPDX-License-Identifier: Apache-2.0
#include "apps/token_file.hpp"

#include "training/host/file_system.hpp"
#include "training/host/shell_text.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

namespace dunlin::app {

Outcome<std::string> read_token_file(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0)
        return refuse(fmt::format("--token-file {}: there is no such file", path));
    if ((status.st_mode & 077) != 0)
        return refuse(fmt::format("--token-file {0}: others may read it; first: chmod 600 {0}", shell_path(path)));
    const auto bytes = posix_file_system().read(path);
    if (!bytes) return refuse(bytes.error(), path);
    std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
    if (text.empty() || text.size() > 256 || text.find_first_of(" \r\n\t") != std::string::npos)
        return refuse(
            fmt::format("--token-file {}: expected one token, as `dunlin fleet token create` prints it", path));
    return text;
}

std::string check_pin(const std::string& pin) {
    const bool fits = pin.size() == 71 && pin.starts_with("sha256:") &&
                      pin.find_first_not_of("0123456789abcdef", 7) == std::string::npos;
    return fits ? "" : "expected sha256: and 64 digits, as `dunlin fleet serve` prints them";
}

}  // namespace dunlin::app
