// SPDX-License-Identifier: Apache-2.0
#include "training/models/onnx_file.hpp"

#include "training/host/plain_text.hpp"

#include <bit>
#include <cstring>
#include <functional>
#include <utility>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

constexpr std::size_t integers_limit = std::size_t{1} << 20;  // of a list: sizes, places, tokens

constexpr std::int64_t float32 = 1, int32 = 6, int64 = 7, float64 = 11;  // TensorProto.DataType

/// The fields of a message of Protocol Buffers, one after the other.
class Fields {
public:
    explicit Fields(std::string_view bytes) : bytes_(bytes) {}

    /// The next field into number() or bytes(); false at the end, and where the bytes are none.
    bool next() {
        if (bytes_.empty() || broken_) return false;
        const std::uint64_t key = varint();
        field_ = static_cast<int>(key >> 3 & 0xffff);
        wire_ = static_cast<int>(key & 7);
        std::uint64_t length = 0;
        switch (wire_) {
            case 0:
                number_ = varint();
                return !broken_;
            case 1:
                length = 8;
                break;
            case 2:
                length = varint();
                break;
            case 5:
                length = 4;
                break;
            default:
                broken_ = true;
        }
        if (broken_ || length > bytes_.size()) return broken_ = true, false;
        value_ = bytes_.substr(0, static_cast<std::size_t>(length));
        bytes_.remove_prefix(value_.size());
        return true;
    }
    bool broken() const { return broken_; }
    int field() const { return field_; }
    bool is_text() const { return wire_ == 2; }
    std::string_view bytes() const { return wire_ == 2 ? value_ : std::string_view(); }
    std::string text() const { return std::string(bytes()); }
    std::int64_t number() const { return wire_ == 0 ? static_cast<std::int64_t>(number_) : 0; }
    float decimal() const {
        float out = 0;
        if (wire_ == 5) std::memcpy(&out, value_.data(), sizeof out);
        return out;
    }
    /// Whole numbers, one or packed.
    void add_to(std::vector<std::int64_t>& list) {
        if (wire_ == 0) list.push_back(number());
        if (wire_ != 2) return;
        Fields packed(value_);
        while (!packed.bytes_.empty() && !packed.broken_ && list.size() <= integers_limit)
            list.push_back(static_cast<std::int64_t>(packed.varint()));
        broken_ = broken_ || packed.broken_ || list.size() > integers_limit;
    }

private:
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            if (bytes_.empty()) break;
            const auto byte = static_cast<unsigned char>(bytes_.front());
            bytes_.remove_prefix(1);
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte < 0x80) return value;
        }
        broken_ = true;
        return 0;
    }

    std::string_view bytes_, value_;
    std::uint64_t number_ = 0;
    int field_ = 0, wire_ = 0;
    bool broken_ = false;
};

/// Throws nothing and keeps the first thing that is wrong.
class Reader {
public:
    File file;
    std::string wrong;

    void model(std::string_view bytes) {
        Fields f(bytes);
        while (f.next()) {
            switch (f.field()) {
                case 7:
                    graph(f.bytes());
                    break;
                case 8:
                    opset(f.bytes());
                    break;
                case 14:
                    property(f.bytes());
                    break;
                default:
                    break;
            }
        }
        whole(f, "the file");
    }

private:
    void fail(std::string text) {
        if (wrong.empty()) wrong = std::move(text);
    }
    void whole(const Fields& f, std::string_view what) {
        if (f.broken()) fail(fmt::format("{} is cut off or damaged", what));
    }
    /// Is there room for one more?
    template <class T>
    bool room(const std::vector<T>& list, const char* what) {
        if (list.size() < File::count_limit && wrong.empty()) return true;
        fail(fmt::format("more than {} {}", File::count_limit, what));
        return false;
    }

    void opset(std::string_view bytes) {
        Fields f(bytes);
        std::string domain;
        std::int64_t version = 0;
        while (f.next()) {
            if (f.field() == 1) domain = f.text();
            if (f.field() == 2) version = f.number();
        }
        whole(f, "an operator set");
        if (domain.empty() || domain == "ai.onnx") file.opset = version;
    }
    void property(std::string_view bytes) {
        Fields f(bytes);
        std::string key, value;
        while (f.next()) {
            if (f.field() == 1) key = f.text();
            if (f.field() == 2) value = f.text();
        }
        whole(f, "a property");
        if (file.properties.size() < File::count_limit) file.properties[key] = value;
    }
    void graph(std::string_view bytes) {
        Fields f(bytes);
        while (f.next() && wrong.empty()) {
            switch (f.field()) {
                case 1:
                    if (room(file.nodes, "nodes")) file.nodes.push_back(node(f.bytes()));
                    break;
                case 2:
                    file.name = f.text();
                    break;
                case 5:
                    if (room(file.tensors, "tensors")) file.tensors.push_back(tensor(f.bytes()));
                    break;
                case 11:
                    if (room(file.inputs, "inputs")) file.inputs.push_back(port(f.bytes()));
                    break;
                case 12:
                    if (room(file.outputs, "outputs")) file.outputs.push_back(port(f.bytes()));
                    break;
                case 15:
                    fail("a sparse tensor; export the model with dense weights");
                    break;
                default:
                    break;
            }
        }
        whole(f, "the graph");
    }

    Node node(std::string_view bytes) {
        Node out;
        Fields f(bytes);
        while (f.next()) {
            switch (f.field()) {
                case 1:
                    if (room(out.inputs, "inputs of a node")) out.inputs.push_back(f.text());
                    break;
                case 2:
                    if (room(out.outputs, "outputs of a node")) out.outputs.push_back(f.text());
                    break;
                case 3:
                    out.name = f.text();
                    break;
                case 4:
                    out.type = f.text();
                    break;
                case 5:
                    attribute(f.bytes(), out);
                    break;
                case 7:
                    out.domain = f.text();
                    break;
                default:
                    break;
            }
        }
        whole(f, "a node");
        return out;
    }
    void attribute(std::string_view bytes, Node& node) {
        Attribute out;
        std::string name;
        Fields f(bytes);
        while (f.next()) {
            switch (f.field()) {
                case 1:
                    name = f.text();
                    break;
                case 2:
                    out.number = f.decimal();
                    break;
                case 3:
                    out.integer = f.number();
                    break;
                case 4:
                    out.text = f.text();
                    break;
                case 5:
                    out.tensor = tensor(f.bytes());
                    break;
                case 8:
                    f.add_to(out.integers);
                    break;
                default:
                    break;
            }
        }
        whole(f, "an attribute");
        if (node.attributes.size() < File::count_limit) node.attributes[name] = std::move(out);
    }

    Tensor tensor(std::string_view bytes) {
        Tensor out;
        std::int64_t type = 0;
        std::string_view raw;
        std::vector<float> numbers;
        std::vector<std::int64_t> integers;
        bool outside = false, has_raw = false;
        Fields f(bytes);
        while (f.next()) {
            switch (f.field()) {
                case 1:
                    f.add_to(out.sizes);
                    break;
                case 2:
                    type = f.number();
                    break;
                case 4:
                    if (!f.is_text()) numbers.push_back(f.decimal());
                    append(numbers, f.bytes());
                    break;
                case 5:
                case 7:
                    f.add_to(integers);
                    break;
                case 8:
                    out.name = f.text();
                    break;
                case 9:
                    raw = f.bytes();
                    has_raw = true;
                    break;
                case 10:
                    append<double>(numbers, f.bytes());
                    break;
                case 13:
                case 14:
                    outside = outside || f.field() == 13 || f.number() != 0;
                    break;
                default:
                    break;
            }
        }
        whole(f, "a tensor");
        const std::string name = shown(out.name, false);
        if (outside)
            fail(fmt::format("tensor {}: its numbers are in another file; save the model as one file", name));
        switch (type) {
            case float32:
                if (has_raw) append<float>(numbers, raw);
                break;
            case float64:
                if (has_raw) append<double>(numbers, raw);
                break;
            case int64:
                if (has_raw) append<std::int64_t>(integers, raw);
                break;
            case int32:
                if (has_raw) append<std::int32_t>(integers, raw);
                break;
            default:
                fail(fmt::format("tensor {}: of data type {}; export the model with 32-bit floating point", name,
                                 type));
        }
        out.whole = type == int64 || type == int32;
        out.numbers = std::move(numbers);
        out.integers = std::move(integers);
        const std::size_t held = out.whole ? out.integers.size() : out.numbers.size();
        std::uint64_t count = 1;
        bool fits = out.sizes.size() <= File::rank_limit;
        for (const std::int64_t size : out.sizes) {
            fits = fits && size >= 0 && size <= std::int64_t{1} << 30 && count <= File::size_limit;
            if (fits) count *= static_cast<std::uint64_t>(size);
        }
        if (!fits || count != held)
            fail(fmt::format("tensor {}: holds {} numbers, which is not what its sizes say", name, held));
        return out;
    }
    template <class From = float, class To>
    void append(std::vector<To>& list, std::string_view raw) {
        if (raw.size() % sizeof(From) != 0) return fail("a tensor is cut off");
        list.reserve(list.size() + raw.size() / sizeof(From));
        for (std::size_t at = 0; at < raw.size(); at += sizeof(From)) {
            From value{};
            std::memcpy(&value, raw.data() + at, sizeof value);
            list.push_back(static_cast<To>(value));
        }
    }

    /// ValueInfoProto: name 1, type 2: tensor type 1: elem_type 1, shape 2: dim 1: value 1.
    Port port(std::string_view bytes) {
        Port out;
        const auto within = [&](std::string_view message, int field, const auto& then) {
            Fields f(message);
            while (f.next()) {
                if (f.field() == field) then(f);
            }
            whole(f, "an input or output");
        };
        within(bytes, 1, [&](const Fields& f) { out.name = f.text(); });
        within(bytes, 2, [&](const Fields& type) {
            within(type.bytes(), 1, [&](const Fields& tensor) {
                within(tensor.bytes(), 1,
                       [&](const Fields& f) { out.whole = f.number() == int64 || f.number() == int32; });
                within(tensor.bytes(), 2, [&](const Fields& shape) {
                    out.sized = true;
                    within(shape.bytes(), 1, [&](const Fields& dimension) {
                        std::int64_t size = -1;
                        within(dimension.bytes(), 1, [&](const Fields& f) { size = f.number(); });
                        if (out.sizes.size() <= File::rank_limit) out.sizes.push_back(size > 0 ? size : -1);
                    });
                });
            });
        });
        return out;
    }
};

}  // namespace

std::int64_t Node::integer(std::string_view key, std::int64_t missing) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? missing : found->second.integer;
}
float Node::number(std::string_view key, float missing) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? missing : found->second.number;
}
std::string Node::text(std::string_view key, std::string_view missing) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? std::string(missing) : found->second.text;
}
std::vector<std::int64_t> Node::integers(std::string_view key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? std::vector<std::int64_t>() : found->second.integers;
}
std::string Node::shown() const {
    const std::string& what = !name.empty() || outputs.empty() ? name : outputs.front();
    return fmt::format("{} \"{}\"", dunlin::shown(type, false), dunlin::shown(what, false));
}

Outcome<File> File::parse(std::string_view bytes) {
    Reader reader;
    if (bytes.size() > size_limit) return refuse("larger than 2^30 bytes");
    reader.model(bytes);
    if (!reader.wrong.empty()) return refuse(reader.wrong);
    if (reader.file.nodes.empty() || reader.file.opset == 0) return refuse("no ONNX model");
    return std::move(reader.file);
}

}  // namespace dunlin::onnx
