// SPDX-License-Identifier: Apache-2.0
#include "training/models/bundle.hpp"

#include "training/models/bundle_sources.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::string_view device_folder = "firmware-targets/device/", template_folder = "firmware-targets/bundle/";

const BundleSource* find_source(std::string_view path) {
    const auto all = bundle_sources();
    const auto at = std::ranges::find(all, path, &BundleSource::path);
    return at == all.end() ? nullptr : &*at;
}

/// A file that an include names: from the source folder, or from the device's.
const BundleSource* included(std::string_view path) {
    const BundleSource* found = find_source(path);
    return found != nullptr ? found : find_source(std::string(device_folder) + std::string(path));
}

/// Where a source goes: the device's files lie beside the floors.
std::string place_of(std::string_view path) {
    if (path.starts_with(device_folder)) path.remove_prefix(device_folder.size());
    return "src/dunlin/" + std::string(path);
}

/// What must be linked with a header that does not have its name: kernels and what a device does without.
struct Companion {
    std::string_view header, source;
};
constexpr Companion companions[] = {
    {"core/kernels.hpp", "core/kernels/generic.cpp"},
    {"core/kernels/reference_layers.hpp", "core/kernels/generic_layers.cpp"},
    {"rl/baseline.hpp", "firmware-targets/device/linear_baseline.cpp"},
};

struct Include {
    std::size_t begin, end;  ///< of the name in the line, with what is around it
    std::string_view name;
};

/// The name of an include of Dunlin's, or of tl::expected.
std::optional<Include> include_in(std::string_view line) {
    constexpr std::string_view word = "#include ", expected = "<tl/expected.hpp>";
    if (!line.starts_with(word)) return {};
    const std::string_view rest = line.substr(word.size());
    if (rest.starts_with(expected)) return Include{word.size(), word.size() + expected.size(), "tl/expected.hpp"};
    if (!rest.starts_with('"')) return {};
    const std::size_t last = rest.find('"', 1);
    if (last == std::string_view::npos) return {};
    return Include{word.size(), word.size() + last + 1, rest.substr(1, last - 1)};
}

/// A text with its includes as they are in a bundle, and the names that it had.
std::string placed(std::string_view text, std::vector<std::string_view>& names) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
        const std::string_view line = text.substr(0, length);
        text.remove_prefix(length);
        const auto include = include_in(line);
        if (!include) {
            out += line;
            continue;
        }
        names.push_back(include->name);
        out += fmt::format("{}\"dunlin/{}\"{}", line.substr(0, include->begin), include->name,
                           line.substr(include->end));
    }
    return out;
}

/// All that these includes lead to.
Outcome<Bundle::Files> sources_of(std::vector<std::string_view> names) {
    Bundle::Files files;
    std::set<std::string_view> seen;
    while (!names.empty()) {
        const std::string_view name = names.back();
        names.pop_back();
        if (!seen.insert(name).second) continue;
        const BundleSource* source = included(name);
        if (source == nullptr) {
            return unable(fmt::format(
                "--format bundle: this program does not carry {}, which the model's sources include", name));
        }
        files.emplace_back(place_of(source->path), placed(source->text, names));
        if (!name.ends_with(".hpp") && !name.ends_with(".h")) continue;
        const std::string stem(name.substr(0, name.rfind('.')));
        for (const char* kind : {".cpp", ".c"}) {
            const BundleSource* code = included(stem + kind);
            if (code != nullptr)
                names.push_back(code->path.starts_with(device_folder) ? code->path.substr(device_folder.size())
                                                                      : code->path);
        }
        for (const Companion& companion : companions) {
            if (companion.header == name) names.push_back(companion.source);
        }
    }
    std::ranges::sort(files);
    return files;
}

/// The header of what a board does, and a template that shows it.
struct Use {
    std::string_view header, example;
};
Use use_of(BundleUse use) {
    switch (use) {
        case BundleUse::grid:
            return {"grid_learner.hpp", "use_grid.txt"};
        case BundleUse::body:
            return {"body_learner.hpp", "use_body.txt"};
        case BundleUse::samples:
            return {"sample_learner.hpp", "use_samples.txt"};
        default:
            return {"core/network/fixed_network.hpp", "use_network.txt"};
    }
}

std::string upper(std::string text) {
    for (char& letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    return text;
}

void replace(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

}  // namespace

Outcome<Bundle> make_bundle(const TrainedModel& model, BundleUse use, const std::string& header,
                            const std::string& name, std::string_view version) {
    const Use with = use_of(use);
    std::vector<std::string_view> names{with.header, "flash_log.hpp"};
    Bundle bundle;
    bundle.own.emplace_back(fmt::format("src/{}.hpp", name), placed(header, names));
    auto sources = sources_of(names);
    if (!sources) return tl::unexpected(sources.error());
    bundle.sources = *std::move(sources);

    std::string summary = "A trained model that learns on the device";
    if (!model.task.empty()) summary += ": " + model.task;
    const BundleSource* example = find_source(std::string(template_folder) + std::string(with.example));
    if (example == nullptr) return unable("--format bundle: this program does not carry its templates");
    const auto filled = [&](std::string_view text) {
        std::string out(text);
        replace(out, "// @EXAMPLE@\n\n", example->text);
        replace(out, "@NAME@", name);
        replace(out, "@NAME_IN_CAPITALS@", upper(name));
        replace(out, "@VERSION@", version);
        replace(out, "@SUMMARY@", summary);
        return out;
    };
    for (const BundleSource& source : bundle_sources()) {
        if (source.path == "LICENSE") bundle.manifests.emplace_back(source.path, source.text);
        std::string_view path = source.path;
        if (!path.starts_with(template_folder)) continue;
        path.remove_prefix(template_folder.size());
        if (path.starts_with("use_")) continue;
        constexpr std::string_view examples = "example/";
        if (path.starts_with(examples))
            bundle.own.emplace_back(fmt::format("examples/{}/{}", name, filled(path.substr(examples.size()))),
                                    filled(source.text));
        else
            bundle.manifests.emplace_back(path, filled(source.text));
    }
    return bundle;
}

}  // namespace dunlin
