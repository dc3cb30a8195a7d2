// SPDX-License-Identifier: Apache-2.0
// The ARFF format (Weka): "@relation name", "@attribute name type" per column, "@data", then comma-separated rows.
// Words that start with @ are in any case, % starts a comment.
#include "envs/data_table.hpp"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

namespace dunlin {
namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

/// Takes the first word, which may be quoted, off `text`.
std::string_view take_word(std::string_view& text) {
    text = trim(text);
    std::string_view word;
    if (!text.empty() && (text.front() == '"' || text.front() == '\'')) {
        const std::size_t end = std::min(text.find(text.front(), 1), text.size());
        word = text.substr(1, end - 1);
        text.remove_prefix(std::min(end + 1, text.size()));
    } else {
        word = text.substr(0, text.find_first_of(" \t"));
        text.remove_prefix(word.size());
    }
    text = trim(text);
    return word;
}

enum class Role : std::uint8_t { feature, label, user, ignored };

/// Numbers before names, numbers by size: users 2, 10, anna.
bool comes_before(const std::string& a, const std::string& b) {
    const auto left = parse_integer(a), right = parse_integer(b);
    if (left && right && *left != *right) return *left < *right;
    if (left.has_value() != right.has_value()) return left.has_value();
    return a < b;
}

class ArffReader {
public:
    ArffReader(std::string_view text, const ArffColumns& columns) : lines_(text), columns_(columns) {}

    Result<DataTable> read() {
        if (!read_header() || !check_header()) return tl::unexpected(error_);
        while (lines_.next()) {
            const std::string_view line = trim(lines_.line());
            if (line.empty() || line.front() == '%') continue;
            if (!read_row(line)) return tl::unexpected(error_);
        }
        if (row_labels_.empty()) return fail(Code::file_truncated, lines_.number(), lines_.number() + 1);
        if (!number_labels()) return tl::unexpected(error_);
        number_users();
        return std::move(table_);
    }

private:
    bool refuse(Code code, std::int64_t first = 0, std::int64_t second = 0) {
        error_ = {code, first, second};
        return false;
    }

    bool read_header() {
        bool relation = false;
        while (lines_.next()) {
            std::string_view line = trim(lines_.line());
            if (line.empty() || line.front() == '%') continue;
            const std::string word = lower(take_word(line));
            if (word == "@relation") {
                relation = true;
            } else if (!relation) {
                return refuse(Code::file_magic);
            } else if (word == "@data") {
                return true;
            } else if (word != "@attribute" || !read_attribute(line)) {
                return refuse(Code::file_syntax, lines_.number(), 1);
            }
        }
        return refuse(Code::file_magic);
    }

    bool read_attribute(std::string_view rest) {
        const std::string name(take_word(rest));
        if (name.empty()) return false;
        const bool listed = !rest.empty() && rest.front() == '{' && rest.back() == '}';
        const std::string type = lower(rest);
        const bool numeric = type == "numeric" || type == "real" || type == "integer";
        const auto& ignored = columns_.ignored;
        Role role = Role::feature;
        if (name == columns_.label) {
            role = Role::label;
            if (listed) split_fields(rest.substr(1, rest.size() - 2), ',', fields_);
            if (listed) table_.class_names.assign(fields_.begin(), fields_.end());
        } else if (!columns_.user.empty() && name == columns_.user) {
            role = Role::user;
        } else if (std::find(ignored.begin(), ignored.end(), name) != ignored.end()) {
            role = Role::ignored;
        }
        roles_.push_back(role);
        return role != Role::feature || numeric;
    }

    bool check_header() {
        const auto count = [&](Role role) { return std::count(roles_.begin(), roles_.end(), role); };
        if (count(Role::label) != 1) return refuse(Code::column_missing, 0);
        if (!columns_.user.empty() && count(Role::user) != 1) return refuse(Code::column_missing, 1);
        if (count(Role::feature) == 0) return refuse(Code::column_missing, 2);
        table_.features = static_cast<int>(count(Role::feature));
        return true;
    }

    bool read_row(std::string_view line) {
        if (line.ends_with(';')) line.remove_suffix(1);
        split_fields(line, ',', fields_);
        if (fields_.size() != roles_.size())
            return refuse(Code::column_count, lines_.number(), std::ssize(fields_));
        for (std::size_t k = 0; k < fields_.size(); ++k) {
            if (roles_[k] == Role::label) {
                row_labels_.emplace_back(fields_[k]);
                row_lines_.push_back(lines_.number());
            } else if (roles_[k] == Role::user) {
                row_users_.emplace_back(fields_[k]);
            } else if (roles_[k] == Role::feature) {
                const bool missing = fields_[k] == "?";
                const auto value = parse_float(fields_[k]);
                if (!missing && !value)
                    return refuse(Code::bad_number, lines_.number(), static_cast<std::int64_t>(k) + 1);
                table_.values.push_back(missing ? std::numeric_limits<float>::quiet_NaN() : *value);
            }
        }
        return true;
    }

    bool number_labels() {
        if (table_.class_names.empty()) {
            table_.class_names = row_labels_;
            sort_unique(table_.class_names);
        }
        std::map<std::string, std::size_t> index;
        for (const std::string& name : table_.class_names) index.emplace(name, index.size());
        for (std::size_t row = 0; row < row_labels_.size(); ++row) {
            const auto at = index.find(row_labels_[row]);
            const std::size_t label = at == index.end() ? table_.class_names.size() : at->second;
            if (at == index.end() || label > 255)
                return refuse(Code::label_out_of_range, row_lines_[row], static_cast<std::int64_t>(label));
            table_.labels.push_back(static_cast<std::uint8_t>(label));
        }
        table_.classes = static_cast<int>(table_.class_names.size());
        return true;
    }

    void number_users() {
        table_.user_names = row_users_;
        sort_unique(table_.user_names);
        std::map<std::string, std::int32_t> index;
        for (const std::string& name : table_.user_names)
            index.emplace(name, static_cast<std::int32_t>(index.size()));
        for (const std::string& name : row_users_) table_.users.push_back(index.at(name));
    }

    static void sort_unique(std::vector<std::string>& names) {
        std::sort(names.begin(), names.end(), comes_before);
        names.erase(std::unique(names.begin(), names.end()), names.end());
    }

    Lines lines_;
    const ArffColumns& columns_;
    Error error_;
    DataTable table_;
    std::vector<Role> roles_;
    std::vector<std::string_view> fields_;
    std::vector<std::string> row_labels_, row_users_;
    std::vector<std::int64_t> row_lines_;
};

}  // namespace

Result<DataTable> parse_arff(std::string_view text, const ArffColumns& columns) {
    return ArffReader(text, columns).read();
}

FileResult<DataTable> load_arff(const std::string& path, const ArffColumns& columns) {
    return load_file(path, [&](std::string_view text) { return parse_arff(text, columns); });
}

}  // namespace dunlin
