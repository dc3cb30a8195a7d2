// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/selection.hpp"

#include <fmt/format.h>

namespace dunlin {
namespace {

class Parser {
public:
    Parser(std::string_view text, const std::function<bool(std::string_view)>& has) : text_(text), has_(has) {
        advance();
    }

    Outcome<bool> whole() {
        const bool chosen = either(0);
        if (wrong_.empty() && !word_.empty()) complain("\"and\", \"or\" or the end");
        if (!wrong_.empty()) return refuse(wrong_);
        return chosen;
    }

private:
    static constexpr int deepest = 32;

    bool either(int depth) {
        bool chosen = both(depth);
        while (take("or")) chosen = both(depth) || chosen;
        return chosen;
    }
    bool both(int depth) {
        bool chosen = one(depth);
        while (take("and") || take(",")) chosen = one(depth) && chosen;
        return chosen;
    }
    bool one(int depth) {
        if (depth > deepest) return complain("fewer brackets");
        if (take("not") || take("!")) return !one(depth + 1);
        if (take("(")) {
            const bool chosen = either(depth + 1);
            if (!take(")")) complain("\")\"");
            return chosen;
        }
        const bool name = !word_.empty() && word_ != "," && word_ != ")" && word_ != "and" && word_ != "or";
        if (!name) return complain("a name or label");
        const bool chosen = has_(word_);
        advance();
        return chosen;
    }

    bool take(std::string_view word) {
        if (word_ != word || !wrong_.empty()) return false;
        advance();
        return true;
    }
    /// The next word: a sign, or what stands up to one or to a space; empty at the end.
    void advance() {
        constexpr std::string_view signs = ",!()";
        while (next_ < text_.size() && text_[next_] == ' ') ++next_;
        at_ = next_;
        if (next_ < text_.size() && signs.find(text_[next_]) != signs.npos) {
            ++next_;
        } else {
            while (next_ < text_.size() && text_[next_] != ' ' && signs.find(text_[next_]) == signs.npos) ++next_;
        }
        word_ = text_.substr(at_, next_ - at_);
    }
    /// The first thing that is wrong counts; nothing is read after it.
    bool complain(std::string_view expected) {
        if (wrong_.empty())
            wrong_ = fmt::format("expected {} at character {}{}", expected, at_ + 1,
                                 word_.empty() ? ", where it ends" : fmt::format(": \"{}\"", word_));
        word_ = {};
        next_ = text_.size();
        return false;
    }

    std::string_view text_, word_;
    const std::function<bool(std::string_view)>& has_;
    std::size_t next_ = 0, at_ = 0;
    std::string wrong_;
};

}  // namespace

Outcome<bool> selects(std::string_view expression, const std::function<bool(std::string_view)>& has) {
    return Parser(expression, has).whole();
}

}  // namespace dunlin
