// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/stream.hpp"

namespace dunlin {

void WebStream::read(const boost::asio::mutable_buffer& into, Handler handler) {
    if (secure_)
        secure_->async_read_some(into, std::move(handler));
    else
        socket_->async_read_some(into, std::move(handler));
}

void WebStream::write(const Several& from, Handler handler) {
    if (secure_)
        secure_->async_write_some(from, std::move(handler));
    else
        socket_->async_write_some(from, std::move(handler));
}

}  // namespace dunlin
