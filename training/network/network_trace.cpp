// SPDX-License-Identifier: Apache-2.0
#include "training/network/network_trace.hpp"

#include "envs/data_csv.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace dunlin {
namespace {

using Kind = NetworkTrace::Kind;

std::string limits_text(std::size_t limit) {
    return sentence("expected 2 to ", limit);
}

FileResult<float> round_trip(double ms, std::int64_t line, std::int64_t field) {
    if (ms >= 0.0 && ms <= NetworkTrace::longest_ms) return static_cast<float>(ms);
    return refuse_line(Code::bad_number, line, field, "number ", field, " is ", std::to_string(ms),
                       " ms; expected a round trip of 0 (not measured) to 3600000 ms");
}

// ---- round trips, as IDX

FileResult<NetworkTrace> parse_idx(std::string_view bytes, double unit_ms) {
    const auto cut = [&](std::int64_t expected) {
        return refuse_text({Code::file_truncated, std::ssize(bytes), expected}, std::ssize(bytes), " bytes where ",
                           expected, " are expected; the file is cut off, get a whole copy");
    };
    if (bytes.size() < 4) return cut(16);
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(bytes[k]); };
    const std::size_t width = byte(2) == 0x0b ? 2 : byte(2) == 0x0c ? 4 : 0, dimensions = byte(3);
    if (width == 0 || dimensions < 2 || dimensions > 3)
        return refuse_text({Code::file_magic}, "an IDX file of type ", int{byte(2)}, " in ", dimensions,
                           " dimensions; expected 16-bit (type 11) or 32-bit (type 12) integers in 2 dimensions "
                           "(from, to) or 3 (slice, from, to)");
    if (!(unit_ms > 0.0))
        return refuse_text({Code::file_magic},
                           "integers without a unit; expected a name with one between dashes, as rtt-us-idx3-int, "
                           "rtt-10ms-idx3-short (us, ms or s)");
    const std::size_t length = 4 + 4 * dimensions;
    if (bytes.size() < length) return cut(static_cast<std::int64_t>(length));
    const auto integer = [&](std::size_t place, std::size_t count) {
        std::uint32_t value = 0;
        for (std::size_t k = 0; k < count; ++k) value = value << 8 | byte(place + k);
        return count == 2 ? std::int64_t{static_cast<std::int16_t>(value)}
                          : std::int64_t{static_cast<std::int32_t>(value)};
    };
    const std::int64_t slices = dimensions == 3 ? integer(4, 4) : 1;
    const std::int64_t from = integer(length - 8, 4), to = integer(length - 4, 4);
    if (from != to || from < 2 || from > std::int64_t{NetworkTrace::node_limit})
        return refuse_text({Code::graph_size, from, NetworkTrace::node_limit}, "a matrix of ", from, " x ", to,
                           " numbers; ", limits_text(NetworkTrace::node_limit), " nodes, from each to each");
    const std::int64_t cells_limit = NetworkTrace::cell_limit;
    if (slices < 1 || slices > cells_limit / (from * to))
        return refuse_text({Code::file_too_large, slices, cells_limit}, slices, " slices; expected 1 to ",
                           cells_limit / (from * to));
    const std::int64_t cells = slices * from * to;
    const std::int64_t expected = static_cast<std::int64_t>(length) + cells * static_cast<std::int64_t>(width);
    if (std::ssize(bytes) < expected) return cut(expected);
    if (std::ssize(bytes) > expected)
        return refuse_text({Code::file_rest, std::ssize(bytes), expected}, std::ssize(bytes),
                           " bytes where the header promises ", expected,
                           "; header and data do not belong together");
    NetworkTrace trace{.kind = Kind::latency,
                       .nodes = static_cast<std::uint32_t>(from),
                       .slices = static_cast<std::uint32_t>(slices)};
    trace.round_trip_ms.reserve(static_cast<std::size_t>(cells));
    for (std::size_t k = 0; k < static_cast<std::size_t>(cells); ++k) {
        const double ms = static_cast<double>(integer(length + k * width, width)) * unit_ms;
        if (!(ms >= 0.0 && ms <= NetworkTrace::longest_ms))
            return refuse_text({Code::bad_number, static_cast<std::int64_t>(k), 0}, "number ", k, " is ",
                               std::to_string(ms), " ms; expected a round trip of 0 (not measured) to 3600000 ms");
        trace.round_trip_ms.push_back(static_cast<float>(ms));
    }
    return trace;
}

// ---- texts

/// The fields of a line, between commas, or between blanks where there is no comma.
void split_fields(std::string_view line, std::vector<std::string_view>& fields) {
    if (line.find(',') == std::string_view::npos) return split_words(line, fields);
    fields.clear();
    for (;;) {
        const std::size_t comma = line.find(',');
        fields.push_back(trimmed(line.substr(0, comma)));
        if (comma == std::string_view::npos) return;
        line.remove_prefix(comma + 1);
    }
}

bool is_blank(std::string_view line) {
    return trimmed(line).empty() || trimmed(line).starts_with('#');
}

FileResult<NetworkTrace> parse_matrix(std::string_view text, double unit_ms) {
    NetworkTrace trace{.kind = Kind::latency, .slices = 1};
    std::vector<std::string_view> fields;
    std::size_t rows = 0;
    for (Lines lines(text); lines.next();) {
        if (is_blank(lines.line())) continue;
        split_fields(lines.line(), fields);
        if (rows == 0) {
            if (fields.size() < 2 || fields.size() > NetworkTrace::node_limit)
                return refuse_line(Code::graph_size, lines.number(), std::ssize(fields), fields.size(),
                                   " numbers; ", limits_text(NetworkTrace::node_limit),
                                   ", one for each node to which round trips were measured");
            trace.nodes = static_cast<std::uint32_t>(fields.size());
        }
        if (fields.size() != trace.nodes)
            return refuse_line(Code::column_count, lines.number(), std::ssize(fields), fields.size(),
                               " numbers; the first line has ", trace.nodes);
        if (++rows > trace.nodes)
            return refuse_line(Code::graph_size, lines.number(), trace.nodes, "one row more than the ", trace.nodes,
                               " that a matrix of ", trace.nodes, " columns has");
        for (std::size_t k = 0; k < fields.size(); ++k) {
            const auto field = static_cast<std::int64_t>(k) + 1;
            const std::optional<double> value = parse_number(fields[k]);
            if (!value)
                return refuse_line(Code::bad_number, lines.number(), field, Quoted(fields[k]), " is number ", field,
                                   "; expected a round trip in milliseconds, 0 where it was not measured");
            const FileResult<float> ms = round_trip(*value * unit_ms, lines.number(), field);
            if (!ms) return tl::unexpected(ms.error());
            trace.round_trip_ms.push_back(*ms);
        }
    }
    if (rows < trace.nodes)
        return refuse_text({Code::file_truncated, static_cast<std::int64_t>(rows), trace.nodes}, rows,
                           " rows of a matrix of ", trace.nodes, " columns; expected as many rows as columns");
    return trace;
}

/// `column` by name, wherever it stands.
FileResult<std::size_t> place_of(const std::vector<std::string_view>& header, std::string_view name,
                                 std::int64_t line) {
    const std::ptrdiff_t place = find_column(header, name);
    if (place >= 0) return static_cast<std::size_t>(place);
    const std::vector<std::string> names(header.begin(), header.end());
    return refuse_line(Code::column_missing, line, 0, "no column ", Quoted(name), " among ", quoted_list(names),
                       "; expected src, dst and pdr for radio links, or cpu_float_score or speed for speeds");
}

/// What was heard of every pair: sums over rows, and rows. 12 MB, however long the file is.
struct Heard {
    static constexpr std::size_t limit = NetworkTrace::node_limit;
    std::vector<double> sums = std::vector<double>(limit * limit);
    std::vector<std::uint32_t> rows = std::vector<std::uint32_t>(limit * limit);
    std::size_t nodes = 0;

    void add(std::size_t from, std::size_t to, double delivered) {
        sums[from * limit + to] += delivered;
        ++rows[from * limit + to];
        nodes = std::max({nodes, from + 1, to + 1});
    }
    NetworkTrace trace() const {
        NetworkTrace trace{.kind = Kind::radio, .nodes = static_cast<std::uint32_t>(nodes)};
        const double most = *std::ranges::max_element(rows);
        for (std::size_t from = 0; from < nodes; ++from) {
            for (std::size_t to = 0; to < nodes; ++to)
                trace.delivery.push_back(static_cast<float>(sums[from * limit + to] / most));
        }
        return trace;
    }
};

FileResult<NetworkTrace> parse_radio(Lines lines, const std::vector<std::string_view>& header, std::size_t column) {
    const auto src = place_of(header, "src", lines.number()), dst = place_of(header, "dst", lines.number());
    if (!src) return tl::unexpected(src.error());
    if (!dst) return tl::unexpected(dst.error());
    Heard heard;
    std::vector<std::string_view> fields;
    while (lines.next()) {
        if (is_blank(lines.line())) continue;
        split_fields(lines.line(), fields);
        if (fields.size() != header.size())
            return refuse_line(Code::column_count, lines.number(), std::ssize(fields), fields.size(),
                               " fields; the header has ", header.size());
        const auto node = [&](std::size_t place) -> FileResult<std::size_t> {
            const auto number = parse_integer(fields[place]);
            if (number && *number >= 0 && *number < std::int64_t{NetworkTrace::node_limit})
                return static_cast<std::size_t>(*number);
            return refuse_line(Code::bad_number, lines.number(), static_cast<std::int64_t>(place) + 1,
                               Quoted(fields[place]), " stands under ", Quoted(header[place]),
                               "; expected a node's number, 0 to ", NetworkTrace::node_limit - 1);
        };
        const FileResult<std::size_t> from = node(*src), to = node(*dst);
        if (!from) return tl::unexpected(from.error());
        if (!to) return tl::unexpected(to.error());
        if (*from == *to)
            return refuse_line(Code::graph_loop, lines.number(), static_cast<std::int64_t>(*from), "node ", *from,
                               " is linked to itself; expected two different nodes");
        const std::optional<double> delivered = parse_number(fields[column]);
        if (!delivered || *delivered < 0.0 || *delivered > 1.0)
            return refuse_line(Code::bad_number, lines.number(), static_cast<std::int64_t>(column) + 1,
                               Quoted(fields[column]), " stands under ", Quoted(header[column]),
                               "; expected the share of packets that arrived, 0 to 1");
        heard.add(*from, *to, *delivered);
    }
    if (heard.nodes == 0)
        return refuse_text({Code::file_truncated, 0, 1}, "no rows; expected one radio link at least");
    return heard.trace();
}

FileResult<NetworkTrace> parse_speeds(std::string_view text) {
    CsvReader csv(text);
    auto more = csv.next();
    if (!more) return tl::unexpected(more.error());
    const std::vector<std::string> header(csv.fields().begin(), csv.fields().end());
    std::ptrdiff_t column = find_column(csv.fields(), "speed");
    if (column < 0) column = find_column(csv.fields(), "cpu_float_score");
    if (column < 0) return tl::unexpected(place_of(csv.fields(), "speed", csv.line()).error());
    const auto place = static_cast<std::size_t>(column);
    NetworkTrace trace{.kind = Kind::speeds};
    while ((more = csv.next()) && *more) {
        const auto& fields = csv.fields();
        if (fields.size() != header.size())
            return refuse_line(Code::column_count, csv.line(), std::ssize(fields), fields.size(),
                               " fields; the header has ", header.size());
        const std::optional<double> speed = parse_number(fields[place]);
        if (!speed || !(*speed >= 1e-6 && *speed <= 1e9))
            return refuse_line(Code::bad_number, csv.line(), column + 1, Quoted(fields[place]), " stands under ",
                               Quoted(header[place]), "; expected a speed from 0.000001 to 1000000000");
        if (trace.speed.size() == NetworkTrace::speed_limit)
            return refuse_line(Code::file_too_large, csv.line(), NetworkTrace::speed_limit, "more than ",
                               NetworkTrace::speed_limit, " devices");
        trace.speed.push_back(static_cast<float>(*speed));
    }
    if (!more) return tl::unexpected(more.error());
    if (trace.speed.empty())
        return refuse_text({Code::file_truncated, 0, 1}, "no rows; expected one device at least");
    trace.nodes = static_cast<std::uint32_t>(trace.speed.size());
    return trace;
}

FileResult<NetworkTrace> parse_text(std::string_view text, double unit_ms) {
    Lines lines(text);
    bool json = false;
    while (lines.next()) {
        const std::string_view line = trimmed(lines.line());
        if (is_blank(line)) continue;
        if (line.starts_with('{') && !json) {  // what the k7 format says of the whole
            json = true;
            continue;
        }
        std::vector<std::string_view> fields;
        split_fields(line, fields);
        if (!json && parse_number(fields.front())) return parse_matrix(text, unit_ms > 0.0 ? unit_ms : 1.0);
        const bool speeds = find_column(fields, "speed") >= 0 || find_column(fields, "cpu_float_score") >= 0;
        if (!json && speeds) return parse_speeds(text);
        if (const std::ptrdiff_t known = find_column(fields, "pdr_absent_as_0"); known >= 0)
            return parse_radio(lines, fields, static_cast<std::size_t>(known));
        return place_of(fields, "pdr", lines.number()).and_then([&](std::size_t column) {
            return parse_radio(lines, fields, column);
        });
    }
    return refuse_text({Code::file_truncated, 0, 1},
                       "no data; expected round trips, radio links (src, dst, pdr) or speeds");
}

}  // namespace

double unit_ms_of(std::string_view name) {
    while (!name.empty()) {
        const std::string_view part = name.substr(0, name.find_first_of("-_."));
        name.remove_prefix(std::min(part.size() + 1, name.size()));
        int count = 1;
        const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), count);
        const std::string_view unit(end, static_cast<std::size_t>(part.data() + part.size() - end));
        if (error == std::errc::result_out_of_range || count < 1) continue;
        for (const auto& [word, ms] : {std::pair{"us", 1e-3}, {"ms", 1.0}, {"s", 1e3}}) {
            if (unit == word) return count * ms;
        }
    }
    return 0.0;
}

FileResult<NetworkTrace> parse_network_trace(std::string_view bytes, std::string_view name) {
    const double unit_ms = unit_ms_of(name);
    if (bytes.starts_with(std::string_view("\0\0", 2))) return parse_idx(bytes, unit_ms);
    return parse_text(bytes, unit_ms);
}

FileResult<NetworkTrace> load_network_trace(const std::string& path) {
    const std::string name = std::filesystem::path(path).filename().string();
    auto trace = load_file(path, [&](std::string_view bytes) { return parse_network_trace(bytes, name); });
    if (trace) trace->path = path;
    return trace;
}

}  // namespace dunlin
