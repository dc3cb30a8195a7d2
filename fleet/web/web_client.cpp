// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/web_client.hpp"

namespace dunlin {

Outcome<Letter> ask_web(const WebTarget& target, const Letter& request, int timeout_ms) {
    constexpr const char* letter_type = "application/vnd.dunlin.letter";
    const auto reply =
        post_web(target, {.path = "/api/v1/desk", .type = letter_type, .body = letter_bytes(request)}, timeout_ms);
    if (!reply) return tl::unexpected(reply.error());
    if (reply->type == letter_type) {
        ReadLetter read = read_letter(reply->body, std::size_t{1} << 30);
        if (read.letter) return *std::move(read.letter);
    }
    Failure refused = refusal_of(target, *reply);
    if (reply->status == 401)
        refused.text = target.url + ": the token of --token-file is not good there, or was revoked";
    return tl::unexpected(std::move(refused));
}

}  // namespace dunlin
