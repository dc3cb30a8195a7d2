// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/run_curves.hpp"

#include "apps/dunlin/run_directory.hpp"
#include "apps/report/table.hpp"
#include "training/host/text_values.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

namespace dunlin::app {
namespace {

/// The fields of a line; in quotes a comma is none, and a quote is doubled.
std::vector<std::string> fields_of(std::string_view line) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (std::size_t k = 0; k < line.size(); ++k) {
        const char c = line[k];
        if (c == '"' && quoted && k + 1 < line.size() && line[k + 1] == '"') {
            fields.back() += line[++k];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            fields.emplace_back();
        } else {
            fields.back() += c;
        }
    }
    return fields;
}

/// NaN of what is written so, or is nothing; none of text.
std::optional<double> number_of(std::string_view text) {
    double value = std::numeric_limits<double>::quiet_NaN();
    if (text.empty()) return value;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

constexpr std::array counting = {"iteration", "updates", "round", "stage", "wake_ups"};
constexpr std::array clocks = {"seconds", "time_s"};

template <std::size_t n>
std::ptrdiff_t column_of(const std::vector<std::string>& header, const std::array<const char*, n>& names) {
    for (const char* name : names) {
        const auto found = std::ranges::find(header, name);
        if (found != header.end()) return found - header.begin();
    }
    return -1;
}

// What Protocol Buffers make of an Event: fields in the order of their numbers.
void put_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
    out += static_cast<char>(value);
}
template <class Word>
void put_little_endian(std::string& out, Word word) {
    for (std::size_t k = 0; k < sizeof(Word); ++k) out += static_cast<char>(word >> (8 * k));
}
void put_bytes(std::string& out, int field, std::string_view bytes) {
    put_varint(out, static_cast<std::uint64_t>(field) << 3 | 2);
    put_varint(out, bytes.size());
    out += bytes;
}

std::string event(double wall_time, std::int64_t step, int field, std::string_view what) {
    std::string out;
    out += static_cast<char>(1 << 3 | 1);
    put_little_endian(out, std::bit_cast<std::uint64_t>(wall_time));
    if (step != 0) {
        out += static_cast<char>(2 << 3);
        put_varint(out, static_cast<std::uint64_t>(step));
    }
    put_bytes(out, field, what);
    return out;
}

void put_record(std::string& out, std::string_view bytes) {
    std::string length;
    put_little_endian(length, static_cast<std::uint64_t>(bytes.size()));
    out += length;
    put_little_endian(out, masked_crc32c(length));
    out += bytes;
    put_little_endian(out, masked_crc32c(bytes));
}

}  // namespace

std::uint32_t masked_crc32c(std::string_view bytes) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t k = 0; k < 256; ++k) {
            std::uint32_t c = k;
            for (int bit = 0; bit < 8; ++bit) c = c >> 1 ^ (0x82f63b78u & (0u - (c & 1u)));
            made[k] = c;
        }
        return made;
    }();
    std::uint32_t c = 0xffffffffu;
    for (const char byte : bytes) c = c >> 8 ^ table[(c ^ static_cast<std::uint8_t>(byte)) & 0xff];
    c = ~c;
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

Outcome<RunCurves> read_curves(const std::filesystem::path& run) {
    const Outcome<std::string> text = read_text(run / "metrics.csv");
    if (!text)
        return refuse(fmt::format(
            "{}: no metrics.csv; expected the directory of a run, which `dunlin train` writes", run.string()));
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos) break;  // not whole
        std::vector<std::string> fields = fields_of(rest.substr(0, end));
        rest.remove_prefix(end + 1);
        if (header.empty())
            header = std::move(fields);
        else if (fields.size() == header.size())
            rows.push_back(std::move(fields));
    }
    if (rows.empty()) return refuse(fmt::format("{}: metrics.csv has no rows yet", run.string()));
    RunCurves curves;
    const std::ptrdiff_t step = column_of(header, counting), clock = column_of(header, clocks);
    curves.step_name = step < 0 ? "row" : header[static_cast<std::size_t>(step)];
    for (std::size_t column = 0; column < header.size(); ++column) {
        std::vector<double> values;
        for (const auto& row : rows) {
            const std::optional<double> value = number_of(row[column]);
            if (!value) break;
            values.push_back(*value);
        }
        const bool whole = values.size() == rows.size();
        if (static_cast<std::ptrdiff_t>(column) == clock && whole) curves.seconds = values;
        if (static_cast<std::ptrdiff_t>(column) == step && whole) {
            for (const double value : values) curves.steps.push_back(static_cast<std::int64_t>(value));
        } else if (whole) {
            curves.metrics.emplace_back(header[column], std::move(values));
        }
    }
    for (std::size_t k = curves.steps.size(); k < rows.size(); ++k)
        curves.steps.push_back(static_cast<std::int64_t>(k));
    for (std::size_t k = curves.seconds.size(); k < rows.size(); ++k)
        curves.seconds.push_back(static_cast<double>(k));
    return curves;
}

std::string curves_csv(const RunCurves& curves) {
    std::string out = curves.step_name + ",seconds,metric,value\n";
    for (const auto& [name, values] : curves.metrics) {
        for (std::size_t k = 0; k < values.size(); ++k) {
            if (std::isfinite(values[k]))
                out += fmt::format("{},{},{},{}\n", curves.steps[k], curves.seconds[k], report::csv_field(name),
                                   values[k]);
        }
    }
    return out;
}

std::string curves_jsonl(const RunCurves& curves) {
    std::string out;
    for (std::size_t k = 0; k < curves.steps.size(); ++k) {
        nlohmann::ordered_json row{{curves.step_name, curves.steps[k]}};
        for (const auto& [name, values] : curves.metrics) {
            if (std::isfinite(values[k])) row[name] = values[k];
        }
        out += row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
    }
    return out;
}

std::string curves_tensorboard(const RunCurves& curves, double start_s) {
    std::string out;
    put_record(out, event(start_s, 0, 3, "brain.Event:2"));
    for (std::size_t k = 0; k < curves.steps.size(); ++k) {
        std::string summary;
        for (const auto& [name, values] : curves.metrics) {
            if (!std::isfinite(values[k])) continue;
            std::string value;
            put_bytes(value, 1, name);
            value += static_cast<char>(2 << 3 | 5);
            put_little_endian(value, std::bit_cast<std::uint32_t>(static_cast<float>(values[k])));
            put_bytes(summary, 1, value);
        }
        if (!summary.empty()) put_record(out, event(start_s + curves.seconds[k], curves.steps[k], 5, summary));
    }
    return out;
}

Outcome<std::vector<std::pair<std::string, std::string>>> curve_files(const std::filesystem::path& run,
                                                                      std::string_view format) {
    using Files = std::vector<std::pair<std::string, std::string>>;
    const Outcome<RunCurves> curves = read_curves(run);
    if (!curves) return tl::unexpected(curves.error());
    if (format == "jsonl") return Files{{"metrics.jsonl", curves_jsonl(*curves)}};
    if (format == "csv") return Files{{"metrics-long.csv", curves_csv(*curves)}};
    // TensorBoard looks for "tfevents" in names. A run began when its settings were written.
    struct stat status {};
    const std::int64_t start = ::stat((run / "config.toml").c_str(), &status) == 0 ? status.st_mtim.tv_sec : 0;
    return Files{{fmt::format("events.out.tfevents.{}.dunlin", start),
                  curves_tensorboard(*curves, static_cast<double>(start))}};
}

}  // namespace dunlin::app
