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

std::optional<Access::Enrolment> read_enrolment(const Json& line) {
    const auto text = [&](const char* key) { return line.value(key, std::string()); };
    const auto number = [&](const char* key) { return line.value(key, std::int64_t{0}); };
    Access::Enrolment read{static_cast<std::uint64_t>(number("number")),
                           text("label"),
                           number("made_unix_ms"),
                           number("until_unix_ms"),
                           text("hash"),
                           text("key"),
                           line.value("done", false)};
    if (number("number") <= 0 || read.hash.size() != 64 || (!read.key.empty() && read.key.size() != 64))
        return std::nullopt;
    return read;
}

Json line_of(const Access::Enrolment& enrolment) {
    return {{"number", enrolment.number},
            {"label", enrolment.label},
            {"made_unix_ms", enrolment.made_unix_ms},
            {"until_unix_ms", enrolment.until_unix_ms},
            {"hash", enrolment.hash},
            {"key", enrolment.key},
            {"done", enrolment.done}};
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
    if (const auto enrolments = read.find("enrolments"); enrolments != read.end()) {
        if (!enrolments->is_array()) return fail(dunlin::Code::file_syntax, 1);
        for (const Json& line : *enrolments) {
            std::optional<Enrolment> enrolment;
            try {
                if (line.is_object()) enrolment = read_enrolment(line);
            } catch (const Json::exception&) {  // an entry of another type
            }
            if (!enrolment || access->enrolments_.size() >= most_tokens) return fail(dunlin::Code::file_syntax, 1);
            access->next_ = std::max(access->next_, enrolment->number + 1);
            access->enrolments_.push_back(*std::move(enrolment));
        }
    }
    return access;
}

Result<void> Access::write(const std::vector<Token>& tokens, const std::vector<Enrolment>& enrolments) const {
    Json lines = Json::array();
    for (const Token& token : tokens)
        lines.push_back({{"number", token.number},
                         {"name", token.name},
                         {"role", name_of(token.role)},
                         {"made_unix_ms", token.made_unix_ms},
                         {"hash", token.hash}});
    Json file{{"next", next_}, {"tokens", lines}};
    for (const Enrolment& enrolment : enrolments) file["enrolments"].push_back(line_of(enrolment));
    const std::string text = file.dump(1) + "\n";
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
    if (auto written = write(more, enrolments_); !written) return tl::unexpected(written.error());
    tokens_ = std::move(more);
    return made;
}

Result<Access::MadeEnrolment> Access::create_enrolment(std::string label, std::int64_t unix_ms,
                                                       std::int64_t until_unix_ms) {
    const std::lock_guard lock(mutex_);
    std::vector<Enrolment> more = enrolments_;
    std::erase_if(more, [unix_ms](const Enrolment& old) { return old.until_unix_ms <= unix_ms; });
    if (more.size() >= most_tokens)
        return fail(dunlin::Code::out_of_range, std::ssize(more), std::int64_t{most_tokens});
    MadeEnrolment made;
    made.secret = "dunlin_enrol_" + new_secret();
    made.enrolment.number = next_++;
    made.enrolment.label = std::move(label);
    made.enrolment.made_unix_ms = unix_ms;
    made.enrolment.until_unix_ms = until_unix_ms;
    made.enrolment.hash = blake2b_hex(made.secret);
    more.push_back(made.enrolment);
    if (auto written = write(tokens_, more); !written) return tl::unexpected(written.error());
    enrolments_ = std::move(more);
    return made;
}

std::vector<Access::Enrolment> Access::enrolments(std::int64_t unix_ms) const {
    const std::lock_guard lock(mutex_);
    std::vector<Enrolment> good = enrolments_;
    std::erase_if(good, [unix_ms](const Enrolment& old) { return old.until_unix_ms <= unix_ms; });
    return good;
}

std::optional<Access::Enrolment> Access::enrolment(std::string_view secret, std::int64_t unix_ms) const {
    const std::vector<Enrolment> good = enrolments(unix_ms);
    const auto found = std::ranges::find(good, blake2b_hex(secret), &Enrolment::hash);
    return found == good.end() ? std::nullopt : std::optional(*found);
}

std::optional<Access::Enrolment> Access::enrolment(std::uint64_t number, std::int64_t unix_ms) const {
    const std::vector<Enrolment> good = enrolments(unix_ms);
    const auto found = std::ranges::find(good, number, &Enrolment::number);
    return found == good.end() ? std::nullopt : std::optional(*found);
}

Result<void> Access::use_enrolment(std::uint64_t number, const std::string& key, bool done) {
    const std::lock_guard lock(mutex_);
    std::vector<Enrolment> changed = enrolments_;
    const auto found = std::ranges::find(changed, number, &Enrolment::number);
    if (found == changed.end() || (!found->key.empty() && found->key != key))
        return fail(dunlin::Code::out_of_range, static_cast<std::int64_t>(number), std::ssize(changed));
    found->key = key;
    found->done = done;
    if (auto written = write(tokens_, changed); !written) return written;
    enrolments_ = std::move(changed);
    return {};
}

std::vector<Access::Token> Access::tokens() const {
    const std::lock_guard lock(mutex_);
    return tokens_;
}

Result<void> Access::revoke(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    std::vector<Token> fewer = tokens_;
    std::vector<Enrolment> fewer_enrolments = enrolments_;
    if (std::erase_if(fewer_enrolments, [&](const Enrolment& one) { return one.number == number; }) > 0) {
        enrolments_ = fewer_enrolments;
        return write(fewer, fewer_enrolments);
    }
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
    return write(fewer, enrolments_);
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

std::size_t Access::codes(std::int64_t now_ms) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::ranges::count_if(codes_, [now_ms](const auto& entry) { return entry.second.until_ms > now_ms; }));
}

std::string Access::new_code(Role role, std::string who, std::int64_t now_ms, std::int64_t life_ms) {
    const std::lock_guard lock(mutex_);
    make_room(codes_, most_codes, [&](const Code& code) { return code.until_ms <= now_ms; });
    std::string code = new_secret();
    codes_[blake2b_hex(code)] = {{role, std::move(who)}, now_ms + life_ms};
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
