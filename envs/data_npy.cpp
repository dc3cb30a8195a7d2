// SPDX-License-Identifier: Apache-2.0
// The NPY format (numpy.lib.format): the magic, two bytes of version, the header's length (two bytes, from version
// 2.0 on four, little-endian), the header, a Python literal such as
// {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }, and the elements.
#include "envs/data_npy.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

constexpr std::string_view magic = "\x93NUMPY";

/// Takes a Python literal apart.
class Literal {
public:
    explicit Literal(std::string_view text) : rest_(text) {}

    bool take(char c) {
        skip();
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    /// A word, number or, without its quotes, a text; empty where there is none.
    std::string_view word() {
        skip();
        const char quote = rest_.empty() ? ' ' : rest_.front();
        if (quote == '\'' || quote == '"') {
            const std::size_t end = rest_.find(quote, 1);
            if (end == rest_.npos) return {};
            const std::string_view inside = rest_.substr(1, end - 1);
            rest_.remove_prefix(end + 1);
            return inside;
        }
        const std::size_t end = std::min(rest_.find_first_of(" \t\n,:(){}[]'\""), rest_.size());
        const std::string_view plain = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return plain;
    }
    bool at_end() {
        skip();
        return rest_.empty();
    }

private:
    void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n"), rest_.size())); }

    std::string_view rest_;
};

double half(std::uint64_t bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31);
    const double fraction = static_cast<double>(bits & 1023) / 1024.0;
    const double size = exponent == 31  ? (fraction > 0.0 ? std::numeric_limits<double>::quiet_NaN()
                                                          : std::numeric_limits<double>::infinity())
                        : exponent == 0 ? std::ldexp(fraction, -14)
                                        : std::ldexp(1.0 + fraction, exponent - 15);
    return (bits & 0x8000) != 0 ? -size : size;
}

void append_utf8(std::string& text, std::uint64_t code) {
    const auto put = [&text](std::uint64_t byte) { text.push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code > 0x10ffff) code = 0xfffd;
    if (code < 0x800) {
        put(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xe0 | code >> 12);
        } else {
            put(0xf0 | code >> 18);
            put(0x80 | (code >> 12 & 63));
        }
        put(0x80 | (code >> 6 & 63));
    }
    put(0x80 | (code & 63));
}

}  // namespace

FileResult<NpyArray> NpyArray::parse(std::string_view bytes) {
    if (!bytes.starts_with(magic) || bytes.size() < 10)
        return refuse_text({Code::file_magic},
                           "it does not begin as a .npy file does; expected what numpy.save() writes");
    const int version = static_cast<unsigned char>(bytes[6]);
    if (version < 1 || version > 3)
        return refuse_text({Code::file_magic}, "version ", version, " of the .npy format; expected 1, 2 or 3");
    const std::size_t wide = version == 1 ? 2 : 4;
    std::size_t length = 0;
    for (std::size_t k = 0; k < wide && 8 + k < bytes.size(); ++k)
        length |= static_cast<std::size_t>(static_cast<unsigned char>(bytes[8 + k])) << 8 * k;
    const std::size_t begin = 8 + wide;
    constexpr std::size_t longest = 1 << 16;
    if (length > longest)
        return refuse_text({Code::file_syntax}, "its header has ", length, " bytes, of at most ", longest);
    if (bytes.size() < begin + length)
        return refuse_text({Code::file_truncated, std::ssize(bytes), static_cast<std::int64_t>(begin + length)},
                           bytes.size(), " bytes where the header alone has ", begin + length,
                           "; the file is cut off, get a whole copy");
    NpyArray array;
    if (auto read = array.read_header(bytes.substr(begin, length)); !read) return tl::unexpected(read.error());
    array.data_ = bytes.substr(begin + length);
    const std::uint64_t expected = std::uint64_t{array.count_} * array.item_;  // of texts more than 32 bits
    if (array.data_.size() == expected) return array;
    const bool short_of = array.data_.size() < expected;
    return refuse_text(
        {short_of ? Code::file_truncated : Code::file_rest, std::ssize(array.data_),
         static_cast<std::int64_t>(expected)},
        array.data_.size(), " bytes of data where the header promises ", expected,
        short_of ? "; the file is cut off, get a whole copy" : "; header and data do not belong together");
}

FileResult<void> NpyArray::read_header(std::string_view header) {
    const auto wrong = [&](std::string_view what) {
        return refuse_text({Code::file_syntax}, "its header is ", Quoted(trimmed(header)), "; expected ", what);
    };
    Literal literal(header);
    if (!literal.take('{')) return wrong("a Python dictionary");
    bool typed = false, shaped = false;
    while (!literal.take('}')) {
        const std::string_view key = literal.word();
        if (key.empty() || !literal.take(':')) return wrong("descr, fortran_order and shape");
        if (key == "descr") {
            if (literal.take('['))
                return refuse_text({Code::file_magic},
                                   "rows of named fields (a structured array); save the columns that are meant as "
                                   "one array, for example with numpy.lib.recfunctions.structured_to_unstructured");
            if (auto read = read_type(literal.word()); !read) return read;
            typed = true;
        } else if (key == "fortran_order") {
            const std::string_view value = literal.word();
            if (value != "True" && value != "False") return wrong("fortran_order True or False");
            fortran_ = value == "True";
        } else if (key == "shape") {
            if (!literal.take('(')) return wrong("a shape in parentheses");
            while (!literal.take(')')) {
                std::string_view word = literal.word();
                if (word.ends_with('L')) word.remove_suffix(1);  // of Python 2
                const auto size = parse_integer(word);
                if (!size || *size < 0 || shape_.size() == 8) return wrong("a shape of at most 8 sizes");
                const auto sides = static_cast<std::size_t>(*size);
                if (sides > data_cell_limit || (sides > 0 && count_ > data_cell_limit / sides))
                    return refuse_text({Code::file_too_large}, "more than ", data_cell_limit,
                                       " elements; use fewer rows");
                count_ *= sides;
                shape_.push_back(sides);
                literal.take(',');
            }
            shaped = true;
        } else {
            return wrong("no other key than descr, fortran_order and shape");
        }
        literal.take(',');
    }
    if (!typed || !shaped || !literal.at_end()) return wrong("descr, fortran_order and shape");
    return {};
}

FileResult<void> NpyArray::read_type(std::string_view type) {
    const std::string_view whole = type;
    const char order = type.empty() ? ' ' : type.front();
    if (order == '<' || order == '>' || order == '|' || order == '=') type.remove_prefix(1);
    big_endian_ = order == '>' || (order == '=' && std::endian::native == std::endian::big);
    if (type.starts_with('O'))
        return refuse_text({Code::file_magic},
                           "Python objects (a pickle), which are not read because loading them can run code; save "
                           "numbers, for example with numpy.save(FILE, array.astype(float))");
    const auto size = parse_integer(type.substr(std::min<std::size_t>(type.size(), 1)));
    kind_ = type.empty() ? ' ' : type.front();
    const bool text = is_text();
    const auto known = [&] {
        if (!size || *size < 0 || *size > 4096) return false;
        if (text) return true;
        if (kind_ == 'b') return *size == 1;
        if (kind_ == 'f') return *size == 2 || *size == 4 || *size == 8;
        return (kind_ == 'u' || kind_ == 'i') && (*size == 1 || *size == 2 || *size == 4 || *size == 8);
    };
    if (!known())
        return refuse_text({Code::file_magic}, "elements of the type ", Quoted(whole),
                           "; expected booleans, whole or real numbers of at most 64 bits, or texts; convert them "
                           "with array.astype(float)");
    item_ = static_cast<std::size_t>(*size) * (kind_ == 'U' ? 4 : 1);
    return {};
}

std::size_t NpyArray::place(std::size_t k) const {
    if (!fortran_) return k;
    // The first index runs fastest there.
    std::size_t offset = 0, stride = count_;
    for (std::size_t d = shape_.size(); d-- > 0;) {
        stride /= shape_[d];
        offset += k % shape_[d] * stride;
        k /= shape_[d];
    }
    return offset;
}

std::uint64_t NpyArray::bits(std::size_t k, std::size_t first, std::size_t width) const {
    const std::string_view item = data_.substr(place(k) * item_ + first, width);
    std::uint64_t value = 0;
    for (std::size_t at = 0; at < width; ++at)
        value = value << 8 | static_cast<unsigned char>(item[big_endian_ ? at : width - 1 - at]);
    return value;
}

double NpyArray::number(std::size_t k) const {
    const std::uint64_t value = bits(k, 0, item_);
    if (kind_ == 'f') {
        if (item_ == 2) return half(value);
        if (item_ == 4) return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(value)));
        return std::bit_cast<double>(value);
    }
    if (kind_ != 'i') return static_cast<double>(value);
    const auto unused = static_cast<int>(64 - 8 * item_);
    return static_cast<double>(static_cast<std::int64_t>(value << unused) >> unused);
}

std::string NpyArray::text(std::size_t k) const {
    std::string said;
    if (kind_ == 'S') {
        said = data_.substr(place(k) * item_, item_);
        said.resize(said.find_last_not_of('\0') + 1);
        return said;
    }
    if (kind_ == 'U') {
        for (std::size_t at = 0; at < item_; at += 4) {
            const std::uint64_t code = bits(k, at, 4);
            if (code == 0) break;
            append_utf8(said, code);
        }
        return said;
    }
    // Whole numbers to the last digit, others by the fewest digits that tell them apart.
    if (kind_ == 'i') {
        const auto unused = static_cast<int>(64 - 8 * item_);
        return std::to_string(static_cast<std::int64_t>(bits(k, 0, item_) << unused) >> unused);
    }
    if (kind_ != 'f') return std::to_string(bits(k, 0, item_));
    const double value = number(k);
    const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
    if (whole) return std::to_string(static_cast<std::int64_t>(value));
    char digits[32];
    const bool single = item_ <= 4;
    const auto end = single ? std::to_chars(digits, std::end(digits), static_cast<float>(value))
                            : std::to_chars(digits, std::end(digits), value);
    return {digits, end.ptr};
}

}  // namespace dunlin
