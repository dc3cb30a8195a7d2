// SPDX-License-Identifier: Apache-2.0
// A file of its own: the kernel's termios2, which takes any rate, and the C library's termios do not go together.
#include "fleet/gateway/line_speed.hpp"

#include <cerrno>
#include <cmath>
#include <cstring>

#include <asm/termbits.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

namespace dunlin {

std::string set_line_speed(int file, unsigned baud) {
    struct termios2 line {};
    if (::ioctl(file, TCGETS2, &line) != 0) return {};
    // As cfmakeraw does.
    line.c_iflag &= ~static_cast<tcflag_t>(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    line.c_oflag &= ~static_cast<tcflag_t>(OPOST);
    line.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    line.c_cflag &= ~static_cast<tcflag_t>(CSIZE | PARENB | CBAUD | (CBAUD << IBSHIFT));
    line.c_cflag |= CS8 | CLOCAL | CREAD | BOTHER | (BOTHER << IBSHIFT);
    line.c_ispeed = line.c_ospeed = baud;
    if (::ioctl(file, TCSETS2, &line) != 0) return fmt::format("takes no {} baud: {}", baud, std::strerror(errno));
    if (::ioctl(file, TCGETS2, &line) != 0) return std::strerror(errno);
    if (std::abs(static_cast<double>(line.c_ospeed) - baud) > 0.03 * baud)
        return fmt::format("takes no {} baud, the nearest is {}", baud, line.c_ospeed);
    return {};
}

}  // namespace dunlin
