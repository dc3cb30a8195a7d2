// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/access.hpp"

#include "fleet/coordinator/secrets.hpp"
#include "training/host/file_system.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

using Json = nlohmann::ordered_json;

Visitor visitor_of(const Access::Token& token) {
    return {token.role, fmt::format("token {} ({})", token.number, token.name)};
}

/// Nothing where it is no token's line.
std::optional<Access::Token> read_token(const Json& line) {
    const auto text = [&](const char* key) {
        const auto found = line.find(key);
        return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto number = [&](const char* key) {
        const auto found = line.find(key);
        return found != line.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
    };
    const auto role = role_named(text("role"));
    Access::Token token{number("number"), text("name"), role.value_or(Role::view),
                        static_cast<std::int64_t>(number("made_unix_ms")), text("hash")};
    if (!role || token.number == 0 || token.hash.size() != 64) return std::nullopt;
    return token;
}

/// Drops what is over, and beyond `most` what ends first.
template <class Map, class Over>
void make_room(Map& map, std::size_t most, const Over& over) {
    std::erase_if(map, [&](const auto& entry) { return over(entry.second); });
    while (map.size() >= most)
        map.erase(std::ranges::min_element(map, {}, [](const auto& entry) { return entry.second.until_ms; }));
}

}  // namespace

Result<std::shared_ptr<Access>> Access::open(const std::filesystem::path& store) {
    std::shared_ptr<Access> access(new Access(store));
    const auto bytes = posix_file_system().read(access->path_);
    if (!bytes && bytes.error().code == dunlin::Code::file_missing) return access;
    if (!bytes) return tl::unexpected(bytes.error());
    const auto* text = reinterpret_cast<const char*>(bytes->data());
    const Json read = Json::parse(text, text + bytes->size(), nullptr, false);
    if (!read.is_object() || !read.contains("tokens") || !read["tokens"].is_array())
        return fail(dunlin::Code::file_syntax, 1);
    if (const auto next = read.find("next"); next != read.end()) {
        if (!next->is_number_unsigned()) return fail(dunlin::Code::file_syntax, 1);
        access->next_ = next->get<std::uint64_t>();
    }
    for (const Json& line : read["tokens"]) {
        auto token = line.is_object() ? read_token(line) : std::nullopt;
        if (!token || access->tokens_.size() >= most_tokens) return fail(dunlin::Code::file_syntax, 1);
        access->next_ = std::max(access->next_, token->number + 1);
        access->tokens_.push_back(*std::move(token));
    }
    return access;
}

Result<void> Access::write(const std::vector<Token>& tokens) const {
    Json lines = Json::array();
    for (const Token& token : tokens)
        lines.push_back({{"number", token.number},
                         {"name", token.name},
                         {"role", name_of(token.role)},
                         {"made_unix_ms", token.made_unix_ms},
                         {"hash", token.hash}});
    const std::string text = Json{{"next", next_}, {"tokens", lines}}.dump(1) + "\n";
    return replace_file(posix_file_system(), path_, std::as_bytes(std::span(text)));
}

Result<Access::Made> Access::create(std::string name, Role role, std::int64_t unix_ms) {
    const std::lock_guard lock(mutex_);
    if (tokens_.size() >= most_tokens)
        return fail(dunlin::Code::out_of_range, std::ssize(tokens_), std::int64_t{most_tokens});
    Made made;
    made.secret = "dunlin_" + new_secret();
    made.token = {next_++, std::move(name), role, unix_ms, blake2b_hex(made.secret)};
    std::vector<Token> more = tokens_;
    more.push_back(made.token);
    if (auto written = write(more); !written) return tl::unexpected(written.error());
    tokens_ = std::move(more);
    return made;
}

std::vector<Access::Token> Access::tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
}

Result<void> Access::revoke(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    std::vector<Token> fewer = tokens_;
    const auto revoked = std::ranges::find(tokens_, number, &Token::number);
    const bool made_links = revoked != tokens_.end() && revoked->role == Role::admin;
    if (std::erase_if(fewer, [&](const Token& token) { return token.number == number; }) == 0)
        return fail(dunlin::Code::out_of_range, static_cast<std::int64_t>(number), std::ssize(tokens_));
    // Whatever becomes of the file: from now on it is refused here.
    tokens_ = fewer;
    // Who made a link is not kept, and only an admin may: his would outlive him.
    std::erase_if(sessions_, [&](const auto& entry) {
        return entry.second.token == number || (made_links && entry.second.token == 0);
    });
    if (made_links) codes_.clear();
    return write(fewer);
}

const Access::Token* Access::token_of(std::string_view secret) const {
    const auto found = std::ranges::find(tokens_, blake2b_hex(secret), &Token::hash);
    return found == tokens_.end() ? nullptr : &*found;
}

std::optional<Visitor> Access::bearer(std::string_view secret) const {
    const std::lock_guard lock(mutex_);
    const Token* token = token_of(secret);
    if (token == nullptr) return std::nullopt;
    return visitor_of(*token);
}

std::string Access::new_code(Role role, std::string who, std::int64_t now_ms) {
    const std::lock_guard lock(mutex_);
    make_room(codes_, most_codes, [&](const Code& code) { return code.until_ms <= now_ms; });
    std::string code = new_secret();
    codes_[blake2b_hex(code)] = {{role, std::move(who)}, now_ms + code_ms};
    return code;
}

std::optional<Access::Session> Access::log_in(std::string_view secret, std::int64_t now_ms) {
    const std::lock_guard lock(mutex_);
    Open open;
    open.until_ms = now_ms + session_ms;
    open.seen_ms = now_ms;
    if (const Token* token = token_of(secret)) {
        open.visitor = visitor_of(*token);
        open.token = token->number;
    } else {
        const auto code = codes_.find(blake2b_hex(secret));
        if (code == codes_.end()) return std::nullopt;
        const Code taken = std::move(code->second);
        codes_.erase(code);
        if (taken.until_ms <= now_ms) return std::nullopt;
        open.visitor = taken.visitor;
    }
    if (open.token != 0) {  // a token makes as many as it likes, and must not push out others'
        const auto its = [&](const auto& entry) { return entry.second.token == open.token; };
        while (std::ranges::count_if(sessions_, its) >= most_of_token) {
            auto oldest = sessions_.end();
            for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
                if (its(*at) && (oldest == sessions_.end() || at->second.until_ms < oldest->second.until_ms))
                    oldest = at;
            }
            sessions_.erase(oldest);
        }
    }
    make_room(sessions_, most_sessions,
              [&](const Open& other) { return other.until_ms <= now_ms || other.seen_ms + idle_ms <= now_ms; });
    Session session{new_secret(), open.visitor};
    sessions_[blake2b_hex(session.secret)] = std::move(open);
    return session;
}

std::optional<Visitor> Access::session(std::string_view secret, std::int64_t now_ms, bool used) {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(blake2b_hex(secret));
    if (found == sessions_.end()) return std::nullopt;
    Open& open = found->second;
    if (open.until_ms <= now_ms || open.seen_ms + idle_ms <= now_ms) {
        sessions_.erase(found);
        return std::nullopt;
    }
    if (used) open.seen_ms = now_ms;
    return open.visitor;
}

void Access::log_out(std::string_view secret) {
    const std::lock_guard lock(mutex_);
    sessions_.erase(blake2b_hex(secret));
}

}  // namespace dunlin
