// SPDX-License-Identifier: Apache-2.0
#include "training/problems/classification_data.hpp"

#include "envs/data_formats.hpp"
#include "envs/data_pictures.hpp"
#include "training/problems/network_settings.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace dunlin {
namespace {

TableSource source_of(const DataSettings& s) {
    return {.path = s.path, .choice = s.columns, .titles = s.titles, .labels = {.first = s.first_label}};
}

Outcome<DataTable> read_or_draw(const DataSettings& s, std::uint64_t seed) {
    if (s.path.empty()) {
        DigitSettings digits = s.digits;
        if (s.rows > 0) digits.rows = s.rows;
        auto drawn = draw_digits(digits, seed);
        if (!drawn) return refuse(drawn.error(), "generated digits");
        return *std::move(drawn);
    }
    auto loaded = load_table(source_of(s));
    if (!loaded) return refuse(loaded.error());
    loaded->keep_first(s.rows);
    return *std::move(loaded);
}

Outcome<void> resize(const DataSettings& s, DataTable& table) {
    if (s.resize.empty()) return {};
    const auto extent = read_extent("data.resize", s.resize);
    if (!extent) return tl::unexpected(extent.error());
    if (auto sized = resize_pictures(table, extent->height, extent->width); !sized)
        return refuse(
            fmt::format("data.resize = \"{}\": {}", s.resize,
                        sized.error().first == 0 ? "the data are no pictures" : "sides are 1 to 4096 pixels"));
    return {};
}

/// Rows of users' are theirs: who names the column need not say data.split too.
SplitSettings split_of(const DataSettings& s, DataTable& table) {
    SplitSettings split = s.split;
    if (s.columns.user.empty() || table.users.empty() || split.kind == Split::users) return split;
    split.kind = Split::users;
    table.notes.push_back({"", 0, sentence("each user of ", Quoted(s.columns.user), " (data.user) is a client")});
    return split;
}

/// The key of a setting of SplitSettings by its position.
std::string_view split_key(std::int64_t position) {
    constexpr std::string_view keys[] = {
        "data.split = users needs data with users (of a table: a column called user or subject, or named by "
        "data.user); this data",
        "data.clients",
        "data.labels_per_client",
        "data.skew",
        "data.alpha",
        "data.test_fraction",
        "data.train_limit"};
    return keys[std::clamp<std::int64_t>(position, 0, std::ssize(keys) - 1)];
}

/// Rows that nobody trains on or holds out.
Outcome<DataTable> test_table(const DataSettings& s, const DataTable& train, std::uint64_t seed) {
    if (!s.path.empty()) {
        const TableFormat& format = table_format(s.path);
        if (format.load_test == nullptr)
            return refuse(
                fmt::format("data.test_fraction = 0: a file of {} has no test part; hold rows out", format.name));
        TableSource source = source_of(s);
        source.labels = {.first = train.first_label, .classes = train.classes};
        auto loaded = format.load_test(source);
        if (!loaded) return refuse(loaded.error());
        return *std::move(loaded);
    }
    if (s.digits.domains > 0) return refuse("data.test_fraction = 0: with data.domains, hold rows out");
    DigitSettings digits = s.digits;
    digits.rows = std::max(10, static_cast<int>(train.rows()) / 5);
    auto drawn = draw_digits(digits, seed + (std::uint64_t{1} << 63));
    if (!drawn) return refuse(drawn.error(), "generated digits");
    return *std::move(drawn);
}

/// The name of a part's user; where users have none, the part's number.
std::string name_of(const DataTable& table, const NodeRows& part, std::size_t k) {
    if (table.user_names.empty()) return std::to_string(k);
    return table.user_names[static_cast<std::size_t>(table.users[part.train.front()])];
}

/// Which of the parts take no part in training, 1 each.
Outcome<std::vector<std::uint8_t>> left_out(const NewcomerSettings& s, const std::vector<std::string>& names,
                                            std::uint64_t seed) {
    std::vector<std::uint8_t> out(names.size());
    for (const std::string& name : s.users) {
        const auto found = std::ranges::find(names, name);
        if (found == names.end())
            return refuse(fmt::format("newcomers.users: no {} among the {} users: {}",
                                      quoted_list(std::span(&name, 1)), names.size(), quoted_list(names)));
        out[static_cast<std::size_t>(found - names.begin())] = 1;
    }
    if (s.users.empty()) {
        constexpr std::uint32_t nobody = (1u << 24) - 2;  // the stream that belongs to no node
        Stream random(seed, nobody, Purpose::data);
        for (int wanted = s.count; wanted > 0 && s.count < std::ssize(names);) {
            std::uint8_t& one = out[random.below(static_cast<std::uint32_t>(names.size()))];
            wanted -= one == 0 ? 1 : 0;
            one = 1;
        }
    }
    const auto all = static_cast<std::size_t>(std::ranges::count(out, 1));
    if (all == names.size() || (s.users.empty() && all == 0))
        return refuse(fmt::format("newcomers: of {} users {} are left out, and nobody is left to learn from",
                                  names.size(), std::max<std::size_t>(all, static_cast<std::size_t>(s.count))));
    return out;
}

/// Takes the parts of those out who take no part, and returns them. From then on `names` stand for parts.
Outcome<std::vector<NodeRows>> take_newcomers(const NewcomerSettings& s, std::uint64_t seed, const DataTable& table,
                                              std::vector<NodeRows>& parts, std::vector<std::string>& names,
                                              std::vector<std::string>& newcomers) {
    for (std::size_t k = 0; k < parts.size(); ++k) names.push_back(name_of(table, parts[k], k));
    const auto out = left_out(s, names, seed);
    if (!out) return tl::unexpected(out.error());
    std::vector<NodeRows> taken, kept;
    std::vector<std::string> kept_names;
    for (std::size_t k = 0; k < parts.size(); ++k) {
        const bool is_out = (*out)[k] == 1;
        (is_out ? taken : kept).push_back(std::move(parts[k]));
        (is_out ? newcomers : kept_names).push_back(std::move(names[k]));
    }
    parts = std::move(kept);
    names = std::move(kept_names);
    return taken;
}

}  // namespace

void add_newcomer_settings(Settings& list, NewcomerSettings& s) {
    using Range = Settings::Range;
    list.add("newcomers.users", s.users,
             "users who take no part in training, and are met when it has ended; none and count 0: nobody");
    list.add("newcomers.count", s.count, "where no names are given: so many, drawn by the seed", Range{0, 1e6});
    list.add("newcomers.rows", s.rows, "rows of each class that they have of their own", Range{1, 1e6});
    list.add("newcomers.repeats", s.repeats, "draws of these rows", Range{1, 1000});
    list.add(
        "newcomers.mean_layers", s.mean_layers,
        "personal layers of theirs begin as the members' mean, which members then give away; false: as first ones");
    list.add("newcomers.steps", s.steps,
             "that make the shared model theirs, otherwise as personal.* says; 0: as many", Range{0, 1e6});
    list.add("newcomers.own_steps", s.own_steps, "of the same network from their own rows alone", Range{1, 1e6});
    list.add("newcomers.own_rate", s.own_rate, "and their size", Range{0, 1e3, true});
}

void add_data_settings(Settings& list, DataSettings& s) {
    using Range = Settings::Range;
    list.add_path("data.path", s.path,
                  "a CSV or ARFF file or a folder of IDX files, see docs/data.md; empty: generated digits");
    list.add(
        "data.label", s.columns.label,
        "tables: column of classes, by title or number from 1; empty: class, label, ..., or the last of words");
    list.add("data.user", s.columns.user,
             "tables: column that says whose row it is, each user a client; empty: user, subject, ..., if there");
    list.add("data.ignored", s.columns.ignored, "tables: columns that are no features, besides UNIQUE_ID");
    list.add("data.features", s.columns.features,
             "tables: columns that are features, in this order; empty: the rest");
    list.add("data.classes", s.columns.classes, "labels from class 0 on; empty: as they sort");
    list.add("data.header", s.titles, "CSV: whether the first line has titles; auto: if it has no number",
             {{"auto", CsvTitles::automatic}, {"yes", CsvTitles::yes}, {"no", CsvTitles::no}});
    list.add("data.first_label", s.first_label, "IDX: the label that becomes class 0; -1: the smallest in the file",
             Range{-1, 255});
    list.add("data.rows", s.rows, "use the first rows only; 0: all, or 5000 generated digits", Range{0, 1e8});
    list.add("data.side", s.digits.side, "generated: pixels of an image's side", Range{4, 64});
    list.add("data.wobble", s.digits.wobble, "generated: how much the strokes vary", Range{0, 10});
    list.add("data.noise", s.digits.noise, "generated: deviation per pixel", Range{0, 10});
    list.add("data.domains", s.digits.domains,
             "generated: users, each with its own view of the pixels; 0: nobody's", Range{0, 1e6});
    list.add("data.domain_shift", s.digits.domain_shift, "generated: how much these views differ", Range{0, 10});
    list.add("data.resize", s.resize, "pictures to this size, as \"20x20\"; empty: as they are");
    list.add("data.standardise", s.standardise, "features to zero mean and unit variance; a table always is");
    list.add("data.inputs", s.inputs, "source = nodes: numbers in a row, where data.features does not name them",
             Range{0, 65536});
    list.add("data.centre", s.centre, "source = nodes: what each feature is less, in the order of data.features",
             Range{-1e30, 1e30});
    list.add("data.scale", s.scale, "source = nodes: what each is then times; neither: by data.standardise",
             Range{-1e30, 1e30});
    list.add("data.split", s.split.kind, "how the rows are shared out among clients",
             {{"uniform", Split::uniform},
              {"labels", Split::labels},
              {"skew", Split::skew},
              {"dirichlet", Split::dirichlet},
              {"users", Split::users}});
    list.add("data.clients", s.split.nodes, "clients; with split = users as many as the data has", Range{1, 1e6});
    list.add("data.largest_users", s.split.largest_users, "split = users: only those with the most rows; 0: all",
             Range{0, 1e6});
    list.add("data.labels_per_client", s.split.labels_per_node, "split = labels: labels that a client holds",
             Range{1, 256});
    list.add("data.skew", s.split.skew, "split = skew: share of a client's main label", Range{0, 1});
    list.add("data.alpha", s.split.alpha, "split = dirichlet: small means that clients see few labels",
             Range{0, 1e6, true});
    list.add("data.test_fraction", s.split.test_fraction, "of each client's rows, held out", Range{0, 0.99});
    list.add("data.train_limit", s.split.train_limit, "most rows that a client trains on; 0: no limit",
             Range{0, 1e8});
    list.add("data.conflicting", s.split.conflicting,
             "every client permutes the labels' names in a way of its own");
}

void describe_classifier(const DataTable& table, TrainedModel& model) {
    model.task = "classification";
    model.head = ModelHead::classes;
    model.input =
        table.image_width > 0
            ? fmt::format(
                  "{} {} of an image of {} rows and {} columns, row by row from the upper left, "
                  "0 dark to 1 bright",
                  table.features,
                  table.features > table.image_height * table.image_width ? "colours of pixels" : "pixels",
                  table.image_height, table.image_width)
            : fmt::format(
                  "{} features, in the order of the data's columns, in the data's units; a missing "
                  "one is its mean",
                  table.features);
    model.output = "logits, one a class; probabilities are their softmax";
    model.output_names = table.class_names;
    for (int label = static_cast<int>(table.class_names.size()); label < table.classes; ++label)
        model.output_names.push_back(fmt::format("class {}", label));
    if (table.feature_names.size() == static_cast<std::size_t>(table.features))
        model.input_names = table.feature_names;
    model.centre = table.centre;
    model.scale = table.scale;
}

namespace {

enum class Users : std::uint8_t { members, newcomers };

/// The data with the parts of those who take part in training, or of those who do not.
Outcome<SharedData> read_shared(const DataSettings& s, std::uint64_t seed, Users of) {
    auto table = read_or_draw(s, seed);
    if (!table) return tl::unexpected(table.error());
    const std::string where = s.path.empty() ? "data" : s.path;
    if (table->classes < 2)
        return refuse(fmt::format("{}: all {} rows have the same class; expected two classes at least", where,
                                  table->rows()));
    if (auto sized = resize(s, *table); !sized) return tl::unexpected(sized.error());
    const SplitSettings split = split_of(s, *table);
    auto parts = split_rows(*table, split, seed);
    if (!parts) {
        if (parts.error().code != Code::bad_setting)
            return refuse(parts.error(), s.path.empty() ? "data.split" : s.path + ": data.split");
        return refuse(fmt::format("{}: {} does not fit", where, split_key(parts.error().first)));
    }
    DataNotes shared_out = split_notes(*table, split, *parts);
    std::vector<NodeRows> newcomers;
    std::vector<std::string> names, newcomer_names;
    if (s.newcomers.any()) {
        auto taken = take_newcomers(s.newcomers, seed, *table, *parts, names, newcomer_names);
        if (!taken) return tl::unexpected(taken.error());
        newcomers = *std::move(taken);
        shared_out.push_back(
            {"newcomers", std::ssize(newcomers),
             fmt::format("{} users take no part in training: {}", newcomers.size(), quoted_list(newcomer_names))});
    }
    const bool standardise = s.standardise || (!s.path.empty() && table->image_width == 0);
    DataTable test;
    if (s.split.test_fraction == 0.0f) {
        if (standardise) return refuse("data.standardise: hold rows out (data.test_fraction above 0)");
        auto read = test_table(s, *table, seed);
        if (!read) return tl::unexpected(read.error());
        test = *std::move(read);
        if (auto sized = resize(s, test); !sized) return tl::unexpected(sized.error());
        if (test.features != table->features) {
            return refuse(fmt::format("{}: {} pixels to train on, but {} to test on", s.path, table->features,
                                      test.features));
        }
    }
    if (test.rows() > 0) {
        std::vector<bool> lacking(static_cast<std::size_t>(table->classes));
        for (const std::uint8_t label : table->labels) lacking[label] = true;
        for (const std::uint8_t label : test.labels) lacking[label] = false;
        if (const auto count = std::count(lacking.begin(), lacking.end(), true); count > 0)
            shared_out.push_back({"classes_without_test", count,
                                  fmt::format("{} of {} classes without a row to test on", count, table->classes)});
    }
    if (standardise) {
        const int before = table->features;
        table->standardise(training_rows(*parts));
        if (table->features == 0)
            return refuse(
                fmt::format("{}: nothing to learn from: all {} features are constant on the rows to train on",
                            s.path.empty() ? "data" : s.path, before));
    }
    DataNotes notes{{"rows", std::ssize(table->labels), ""},
                    {"features", table->features, ""},
                    {"classes", table->classes, ""}};
    for (DataNotes* part : {&table->notes, &shared_out}) notes.insert(notes.end(), part->begin(), part->end());
    if (s.newcomers.any())
        table->user_names = of == Users::newcomers ? std::move(newcomer_names) : std::move(names);
    if (of == Users::newcomers) *parts = std::move(newcomers);
    return SharedData{*std::move(table), *std::move(parts), std::move(notes), std::move(test)};
}

}  // namespace

Outcome<SharedData> read_data(const DataSettings& s, std::uint64_t seed) {
    return read_shared(s, seed, Users::members);
}

Outcome<SharedData> read_newcomers(const DataSettings& s, std::uint64_t seed) {
    return read_shared(s, seed, Users::newcomers);
}

}  // namespace dunlin
