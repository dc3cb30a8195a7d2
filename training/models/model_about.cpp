// SPDX-License-Identifier: Apache-2.0
#include "training/models/layer_text.hpp"
#include "training/models/model_export.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::string_view keywords[] = {"alignas",       "alignof",
                                         "and",           "and_eq",
                                         "asm",           "auto",
                                         "bitand",        "bitor",
                                         "bool",          "break",
                                         "case",          "catch",
                                         "char",          "char8_t",
                                         "char16_t",      "char32_t",
                                         "class",         "co_await",
                                         "co_return",     "co_yield",
                                         "compl",         "concept",
                                         "const",         "consteval",
                                         "constexpr",     "constinit",
                                         "const_cast",    "continue",
                                         "decltype",      "default",
                                         "delete",        "do",
                                         "double",        "else",
                                         "enum",          "explicit",
                                         "export",        "extern",
                                         "false",         "float",
                                         "for",           "friend",
                                         "goto",          "if",
                                         "inline",        "int",
                                         "long",          "mutable",
                                         "namespace",     "new",
                                         "noexcept",      "not",
                                         "not_eq",        "nullptr",
                                         "operator",      "or",
                                         "or_eq",         "private",
                                         "protected",     "public",
                                         "register",      "requires",
                                         "restrict",      "return",
                                         "short",         "signed",
                                         "sizeof",        "static",
                                         "struct",        "switch",
                                         "template",      "this",
                                         "throw",         "true",
                                         "try",           "typedef",
                                         "typeid",        "typename",
                                         "union",         "unsigned",
                                         "using",         "virtual",
                                         "void",          "volatile",
                                         "wchar_t",       "while",
                                         "xor",           "xor_eq",
                                         "main",          "std",
                                         "static_assert", "static_cast",
                                         "dynamic_cast",  "reinterpret_cast",
                                         "thread_local"};
constexpr std::string_view headers[] = {"assert", "complex",   "ctype",   "errno",  "fenv",   "float",  "inttypes",
                                        "iso646", "limits",    "locale",  "math",   "setjmp", "signal", "stdalign",
                                        "stdarg", "stdatomic", "stdbool", "stddef", "stdint", "stdio",  "stdlib",
                                        "string", "tgmath",    "threads", "time",   "uchar",  "wchar",  "wctype"};

/// Text from data on one line of a comment.
std::string harmless(std::string text) {
    for (char& letter : text) {
        if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = ' ';
    }
    for (const char* mark : {"*/", "/*"}) {
        for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) text[at + 1] = ' ';
    }
    while (!text.empty() && (text.back() == '\\' || text.back() == ' ')) text.pop_back();
    return text;
}

void add_names(std::vector<std::string>& lines, const char* what, const std::vector<std::string>& names) {
    for (std::size_t k = 0; k < names.size(); ++k) lines.push_back(fmt::format("  {} {}: {}", what, k, names[k]));
}

}  // namespace

Outcome<void> check_export_name(const std::string& name) {
    const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    const auto wrong = [&](const char* why) {
        return refuse(fmt::format("--name {}: {}; expected an identifier of C, such as kitchen or left_arm",
                                  harmless(name), why));
    };
    if (name.empty()) return wrong("it is empty");
    if (name.size() > 63) return wrong("it has more than 63 characters");
    if (!std::ranges::all_of(name, letter)) return wrong("letters of a to z, digits and _ alone may be in it");
    if (std::isdigit(static_cast<unsigned char>(name.front())) != 0) return wrong("it begins with a digit");
    if (name.front() == '_' || name.find("__") != std::string::npos)
        return wrong("a leading _ and a double __ are reserved to compilers");
    if (std::ranges::find(keywords, name) != std::end(keywords)) return wrong("it is a word of C or C++");
    if (std::ranges::find(headers, name) != std::end(headers))
        return wrong("a file of this name would hide a header of the C library");
    return {};
}

std::vector<std::string> about(const TrainedModel& model) {
    std::vector<std::string> lines;
    lines.push_back(fmt::format("Experiment: {}.{}", model.experiment.empty() ? "not said" : model.experiment,
                                model.task.empty() ? "" : " Task: " + model.task + "."));
    if (model.format < TrainedModel::described_format)
        lines.push_back(
            "Written by an older Dunlin: its file does not say the map, the horizon and the task, nor how inputs "
            "are "
            "scaled.");
    if (!model.shared_is.empty()) lines.push_back("The model: " + model.shared_is + ".");
    lines.push_back("Input: " +
                    (!model.input.empty() ? model.input
                     : model.tokens() && model.steps() > 1
                         ? fmt::format("{} tokens, each 0 to {}", model.steps(), model.inputs() - 1)
                     : model.tokens() ? fmt::format("the number of a state, 0 to {}", model.inputs() - 1)
                     : model.network  ? extent_text(model.network->input)
                                      : fmt::format("{} numbers", model.inputs())) +
                    ".");
    add_names(lines, "input", model.input_names);
    if (!model.centre.empty())
        lines.push_back(
            "Inputs are raw: the model takes the mean off each and divides it by the deviation that it had in the "
            "training data.");
    lines.push_back(
        "Output: " + (!model.output.empty() ? model.output : fmt::format("{} numbers", model.outputs())) + ".");
    add_names(lines,
              model.head == ModelHead::actions    ? "action"
              : model.head == ModelHead::gaussian ? "number"
                                                  : "output",
              model.output_names);
    for (const std::string& note : model.notes) lines.push_back(note + ".");
    if (!model.personal_is.empty()) lines.push_back("To make it one's own: " + model.personal_is + ".");
    for (std::string& line : lines) {
        const std::size_t blanks = line.find_first_not_of(' ');
        line = std::string(blanks, ' ') + harmless(line.substr(blanks));
    }
    return lines;
}

}  // namespace dunlin
