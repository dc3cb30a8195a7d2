// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/stream.hpp"

#include <boost/asio/bind_executor.hpp>

namespace dunlin {

// Beast posts to a handler's executor, which one of any type cannot tell; all of a server's handlers run on the stream's.

void WebStream::read(const boost::asio::mutable_buffer& into, Handler handler) {
    auto bound = boost::asio::bind_executor(get_executor(), std::move(handler));
    if (secure_)
        secure_->async_read_some(into, std::move(bound));
    else
        socket_->async_read_some(into, std::move(bound));
}

void WebStream::write(const Several& from, Handler handler) {
    auto bound = boost::asio::bind_executor(get_executor(), std::move(handler));
    if (secure_)
        secure_->async_write_some(from, std::move(bound));
    else
        socket_->async_write_some(from, std::move(bound));
}

}  // namespace dunlin
