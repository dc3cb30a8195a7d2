// SPDX-License-Identifier: Apache-2.0
// RFC 4180 (Y. Shafranovich: Common Format and MIME Type for Comma-Separated Values Files).
#include "envs/data_csv.hpp"

#include <algorithm>

namespace dunlin {

FileResult<bool> CsvReader::next() {
    for (;;) {  // over blank lines
        const std::string_view line = rest_.substr(0, rest_.find('\n'));
        // A row of tabs is a row of empty cells where tabs separate them.
        const std::string_view blank = separator_ == '\t' ? " \r" : " \t\r";
        if (line.find_first_not_of(blank) != std::string_view::npos) break;
        if (line.size() == rest_.size()) return false;
        rest_.remove_prefix(line.size() + 1);
        ++next_line_;
    }
    line_ = next_line_;
    fields_.clear();
    unquoted_.clear();
    for (;;) {
        const FileResult<bool> more = take_field();
        if (!more) return more;
        if (!*more) return true;
    }
}

std::size_t CsvReader::field_end() const {
    const char ends[] = {separator_, '\n'};
    return std::min(rest_.find_first_of(std::string_view(ends, 2)), rest_.size());
}

/// Takes one field and what ends it; true where that is a separator.
FileResult<bool> CsvReader::take_field() {
    const std::string_view begin = trimmed(rest_.substr(0, field_end()));
    if (begin.starts_with('"')) {
        rest_.remove_prefix(static_cast<std::size_t>(begin.data() - rest_.data()) + 1);
        return take_quoted();
    }
    const std::size_t end = field_end();
    std::string_view field = rest_.substr(0, end);
    const bool comma = end < rest_.size() && rest_[end] == separator_;
    if (!comma && field.ends_with('\r')) field.remove_suffix(1);
    fields_.push_back(trimmed(field));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (!comma) ++next_line_;
    return comma;
}

FileResult<bool> CsvReader::take_quoted() {
    std::size_t end = rest_.find('"');
    const std::string_view whole = rest_;
    std::size_t taken = 0;
    std::string* own = nullptr;
    for (; end != std::string_view::npos && whole.substr(end + 1).starts_with('"'); end = whole.find('"', taken)) {
        if (own == nullptr) own = &unquoted_.emplace_back();
        own->append(whole.substr(taken, end + 1 - taken));
        taken = end + 2;
    }
    if (end == std::string_view::npos)
        return refuse_line(Code::file_syntax, line_, 1,
                           "a field begins with a quote (\") that is never closed: ", Quoted(whole),
                           "; expected a closing quote, or a doubled one within the field");
    const std::string_view last = whole.substr(taken, end - taken);
    if (own != nullptr) own->append(last);
    const std::string_view field = own != nullptr ? std::string_view(*own) : last;
    fields_.push_back(field);
    next_line_ += std::count(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    rest_ = whole.substr(end + 1);
    const std::size_t stop = field_end();
    const std::string_view behind = rest_.substr(0, stop);
    if (behind.find_first_not_of(" \t\r") != std::string_view::npos)
        return refuse_line(Code::file_syntax, next_line_, 1, Quoted(trimmed(behind)), " stands behind the field ",
                           Quoted(field), "; expected a comma or the end of the line after a closing quote");
    const bool comma = stop < rest_.size() && rest_[stop] == separator_;
    rest_.remove_prefix(std::min(stop + 1, rest_.size()));
    if (!comma) ++next_line_;
    return comma;
}

std::ptrdiff_t find_column(const std::vector<std::string_view>& header, std::string_view name) {
    const auto found = std::find_if(header.begin(), header.end(),
                                    [name](std::string_view column) { return same_but_case(column, name); });
    return found == header.end() ? -1 : found - header.begin();
}

}  // namespace dunlin
