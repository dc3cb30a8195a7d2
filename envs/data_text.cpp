// SPDX-License-Identifier: Apache-2.0
#include "envs/data_text.hpp"

#include "envs/data_csv.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

namespace dunlin {
namespace {

constexpr auto symbols = static_cast<std::size_t>(speech_symbols);

char letter_of(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c >= 'a' && c <= 'z' ? c : ' ';
}
/// One line more.
void append(std::string& text, std::string_view words, Alphabet alphabet) {
    if (alphabet == Alphabet::ascii) {
        for (const char c : words) text.push_back(c >= ' ' && c <= '~' ? c : ' ');
        text.push_back('\n');
        return;
    }
    const auto add = [&text](char symbol) {
        if (symbol != ' ' || (!text.empty() && text.back() != ' ')) text.push_back(symbol);
    };
    for (const char c : words) add(letter_of(c));
    add(' ');
}

/// Characters beyond ASCII, each by its first byte.
std::int64_t strange_letters(std::string_view words) {
    return std::ranges::count_if(words, [](char c) { return static_cast<unsigned char>(c) >= 0xc0; });
}

/// What people say, by their names, in the order in which they are met.
class Gathering {
public:
    explicit Gathering(Alphabet alphabet) : alphabet_(alphabet) {}

    bool empty() const { return people_.empty(); }
    std::size_t find(const std::string& name) {
        const auto [place, is_new] = places_.emplace(name, people_.size());
        if (is_new) people_.push_back({.name = name});
        return place->second;
    }
    void say(std::size_t speaker, std::string_view words, bool to_test_on = false) {
        strange_ += strange_letters(words);
        append(to_test_on ? people_[speaker].held : people_[speaker].text, words, alphabet_);
    }
    /// Who says most comes first. Error: file_truncated.
    FileResult<Speech> speech(std::int64_t size, bool held, std::string_view expected) {
        std::stable_sort(people_.begin(), people_.end(), [](const Person& a, const Person& b) {
            return a.text.size() + a.held.size() > b.text.size() + b.held.size();
        });
        if (people_.empty() || people_.front().text.empty())
            return refuse_text({Code::file_truncated, size, 1}, "nobody says anything; expected ", expected);
        Speech all;
        all.alphabet = alphabet_;
        all.other_letters = strange_;
        for (Person& person : people_) {
            all.speakers.push_back(std::move(person.name));
            all.texts.push_back(std::move(person.text));
            if (held) all.held.push_back(std::move(person.held));
        }
        return all;
    }

private:
    struct Person {
        std::string name, text{}, held{};
    };

    Alphabet alphabet_;
    std::map<std::string, std::size_t, std::less<>> places_{};
    std::vector<Person> people_{};
    std::int64_t strange_ = 0;
};

/// Positive numbers that sum to one.
std::vector<double> draw_shares(std::size_t count, float spread, Stream& random) {
    std::vector<double> shares(count);
    for (double& share : shares) share = std::exp(static_cast<double>(spread * random.normal()));
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (double& share : shares) share /= total;
    return shares;
}

}  // namespace

int symbols_of(Alphabet alphabet) {
    return alphabet == Alphabet::letters ? speech_symbols : '~' - ' ' + 2;
}

int number_of(Alphabet alphabet, char symbol) {
    if (alphabet == Alphabet::letters) return symbol == ' ' ? 0 : symbol - 'a' + 1;
    return symbol == '\n' ? 0 : symbol - ' ' + 1;
}

FileResult<Speech> parse_speech(std::string_view text, Alphabet alphabet) {
    constexpr std::size_t longest_name = 40;
    Gathering all(alphabet);
    std::size_t speaker = 0;
    for (Lines lines(text); lines.next();) {
        std::string_view words = trimmed(lines.line());
        if (words.empty()) continue;
        const std::size_t colon = words.find(':');
        if (colon != std::string_view::npos && colon > 0 && colon <= longest_name) {
            speaker = all.find(std::string(trimmed(words.substr(0, colon))));
            words.remove_prefix(colon + 1);
        }
        if (all.empty())
            return refuse_text({Code::file_syntax, lines.number(), 1}, "line ", lines.number(),
                               ", column 1: ", Quoted(words),
                               " stands before the first speaker; expected NAME: what is said");
        all.say(speaker, alphabet == Alphabet::ascii ? trimmed(words) : words);
    }
    return all.speech(std::ssize(text), false, "lines NAME: what is said");
}

FileResult<Speech> parse_lines(std::string_view table, Alphabet alphabet) {
    const std::string_view first = table.substr(0, table.find('\n'));
    CsvReader reader(table, first.find('\t') != std::string_view::npos ? '\t' : ',');
    const auto titles = reader.next();
    if (!titles) return tl::unexpected(titles.error());
    const std::vector<std::string_view> header = reader.fields();
    const auto speaker = find_column(header, "speaker"), said = find_column(header, "text"),
               play = find_column(header, "play"), split = find_column(header, "split");
    if (speaker < 0) return refuse_line(Code::column_missing, reader.line(), 0, "no column is called speaker");
    if (said < 0) return refuse_line(Code::column_missing, reader.line(), 1, "no column is called text");
    Gathering all(alphabet);
    for (;;) {
        const auto more = reader.next();
        if (!more) return tl::unexpected(more.error());
        if (!*more) break;
        const auto& fields = reader.fields();
        if (fields.size() != header.size())
            return refuse_line(Code::column_count, reader.line(), std::ssize(fields), fields.size(),
                               " fields; the first line has ", header.size());
        const auto field = [&](std::ptrdiff_t column) { return fields[static_cast<std::size_t>(column)]; };
        const std::string_view use = split < 0 ? "train" : field(split);
        if (use != "train" && use != "test") continue;
        std::string name(field(speaker));
        if (play >= 0) name = sentence(field(play), ": ", field(speaker));
        all.say(all.find(name), field(said), use == "test");
    }
    return all.speech(std::ssize(table), split >= 0, "rows with a speaker and a text");
}

FileResult<Speech> load_speech(const std::string& path, Alphabet alphabet) {
    std::string file = path;
    if (std::filesystem::is_directory(path)) {
        for (const char* name : {"lines.csv", "lines.tsv"}) {
            const std::string at = plain_or_packed(path + "/" + name);
            if (std::filesystem::exists(at) || file == path) file = at;
        }
    }
    std::string_view name = file;
    if (name.ends_with(".gz")) name.remove_suffix(3);
    if (name.ends_with(".csv") || name.ends_with(".tsv"))
        return load_file(file, [&](std::string_view text) { return parse_lines(text, alphabet); });
    return load_file(file, [&](std::string_view text) { return parse_speech(text, alphabet); });
}

Result<Speech> draw_speech(const DialectSettings& s, std::uint64_t seed) {
    const bool good[] = {s.speakers >= 1 && s.speakers < 1 << 20, s.dialects >= 1 && s.dialects <= 1000,
                         s.characters >= 1 && s.characters <= 1 << 24, s.sharpness >= 0.0f && s.sharpness <= 20.0f,
                         s.spread >= 0.0f && s.spread <= 20.0f};
    for (std::int64_t k = 0; k < std::ssize(good); ++k) {
        if (!good[k]) return fail(Code::bad_setting, k);
    }
    constexpr std::uint32_t everyone = (1u << 24) - 1;
    Stream common(seed, everyone, Purpose::data);
    std::vector<std::vector<double>> chains;  // of each dialect, a row for each symbol
    for (std::size_t k = 0; k < static_cast<std::size_t>(s.dialects) * symbols; ++k) {
        chains.push_back(draw_shares(symbols, s.sharpness, common));
    }
    Speech speech;
    for (int speaker = 0; speaker < s.speakers; ++speaker) {
        Stream random(seed, static_cast<std::uint32_t>(speaker), Purpose::data);
        const std::vector<double> weights = draw_shares(static_cast<std::size_t>(s.dialects), s.spread, random);
        std::vector<double> own(symbols * symbols);
        for (std::size_t at = 0; at < chains.size() * symbols; ++at) {
            own[at % own.size()] += weights[at / own.size()] * chains[at / symbols][at % symbols];
        }
        std::string text;
        std::size_t symbol = 0;
        while (std::ssize(text) < s.characters) {
            double chance = random.uniform_double();
            const double* row = own.data() + symbol * symbols;
            symbol = 0;
            while (symbol + 1 < symbols && chance >= row[symbol]) chance -= row[symbol++];
            text.push_back(symbol == 0 ? ' ' : static_cast<char>('a' + static_cast<int>(symbol) - 1));
        }
        speech.speakers.push_back("speaker " + std::to_string(speaker));
        speech.texts.push_back(std::move(text));
    }
    return speech;
}

Result<DataTable> character_rows(const Speech& speech, int speakers, int context, int characters,
                                 CharacterForm form) {
    if (std::ssize(speech.texts) < speakers) {
        return fail(Code::too_few_speakers, std::ssize(speech.texts), speakers);
    }
    if (context < 1 || context > 64) return fail(Code::bad_setting, 1);
    if (characters < 1) return fail(Code::bad_setting, 2);
    DataTable table;
    const bool as_tokens = form == CharacterForm::tokens;
    const int kinds = symbols_of(speech.alphabet);
    const auto number_in = [&](char symbol) {
        return static_cast<std::size_t>(dunlin::number_of(speech.alphabet, symbol));
    };
    table.features = context * (as_tokens ? 1 : kinds);
    table.classes = kinds;
    if (as_tokens) table.tokens = kinds;
    const auto length = static_cast<std::size_t>(context), width = static_cast<std::size_t>(table.features);
    for (int speaker = 0; speaker < speakers; ++speaker) {
        const std::string& text = speech.texts[static_cast<std::size_t>(speaker)];
        table.user_names.push_back(speech.speakers[static_cast<std::size_t>(speaker)]);
        const std::size_t end = std::min(text.size(), length + static_cast<std::size_t>(characters));
        for (std::size_t at = length; at < end; ++at) {
            table.values.resize(table.values.size() + width);
            float* row = table.values.data() + table.values.size() - width;
            for (std::size_t back = 0; back < length; ++back) {
                const std::size_t number = number_in(text[at - 1 - back]);
                if (as_tokens) {
                    row[length - 1 - back] = static_cast<float>(number);
                } else {
                    row[back * static_cast<std::size_t>(kinds) + number] = 1.0f;
                }
            }
            table.labels.push_back(static_cast<std::uint8_t>(number_in(text[at])));
            table.users.push_back(speaker);
        }
    }
    return table;
}

Result<std::vector<NodeRows>> split_in_order(const DataTable& table, float test_fraction) {
    if (!(test_fraction >= 0.0f && test_fraction < 1.0f)) return fail(Code::bad_setting, 5);
    if (table.users.size() != table.rows() || table.user_names.empty()) return fail(Code::bad_setting, 0);
    std::vector<NodeRows> nodes(table.user_names.size());
    for (std::uint32_t row = 0; row < table.rows(); ++row) {
        nodes[static_cast<std::size_t>(table.users[row])].train.push_back(row);
    }
    for (std::size_t k = 0; k < nodes.size(); ++k) {
        std::vector<std::uint32_t>& rows = nodes[k].train;
        const auto test = static_cast<std::ptrdiff_t>(std::ceil(test_fraction * static_cast<float>(rows.size())));
        if (std::ssize(rows) <= test)
            return fail(Code::too_few_rows, static_cast<std::int64_t>(k), std::ssize(rows));
        nodes[k].test.assign(rows.end() - test, rows.end());
        rows.resize(rows.size() - static_cast<std::size_t>(test));
    }
    return nodes;
}

namespace {

/// Windows over a text of one user, of which each is judged on what none before it was.
void add_windows(const std::string& text, const StepSettings& s, std::size_t lead, Alphabet alphabet, int user,
                 DataTable& table, std::vector<std::uint32_t>& rows) {
    const auto steps = static_cast<std::size_t>(s.steps);
    for (std::size_t next = 1; next < text.size();) {  // the first that was not guessed yet
        const std::size_t begin = std::min(next - 1 - std::min(next - 1, lead), text.size() - 1 - steps);
        rows.push_back(static_cast<std::uint32_t>(table.rows()));
        for (std::size_t k = 0; k < steps; ++k) {
            const std::size_t guessed = begin + k + 1;
            table.values.push_back(static_cast<float>(number_of(alphabet, text[begin + k])));
            table.labels.push_back(guessed < next ? LabelledRows::unlabelled
                                                  : static_cast<std::uint8_t>(number_of(alphabet, text[guessed])));
        }
        table.users.push_back(user);
        next = begin + steps + 1;
    }
}

}  // namespace

Result<StepRows> step_rows(const Speech& speech, const StepSettings& s) {
    if (std::ssize(speech.texts) < s.speakers)
        return fail(Code::too_few_speakers, std::ssize(speech.texts), s.speakers);
    if (s.steps < 2 || s.steps > 1024) return fail(Code::bad_setting, 1);
    if (s.lead < 0 || s.lead >= s.steps) return fail(Code::bad_setting, 2);
    if (s.characters < 1) return fail(Code::bad_setting, 3);
    if (!(s.test_fraction >= 0.0f && s.test_fraction < 1.0f)) return fail(Code::bad_setting, 4);
    StepRows all;
    all.table.features = all.table.places = s.steps;
    all.table.classes = all.table.tokens = symbols_of(speech.alphabet);
    const auto least = static_cast<std::size_t>(s.steps) + 1;
    for (std::size_t k = 0; k < static_cast<std::size_t>(s.speakers); ++k) {
        std::string text = speech.texts[k], held;
        if (speech.held.empty()) {
            const auto test = static_cast<std::size_t>(s.test_fraction * static_cast<float>(text.size()));
            held = text.substr(text.size() - test);
            text.resize(text.size() - test);
        } else {
            held = speech.held[k];
        }
        for (const std::string* part : {&text, &held}) {
            if (part->size() < least)
                return fail(Code::too_few_rows, static_cast<std::int64_t>(k), std::ssize(*part));
        }
        const std::size_t most = std::max(least, static_cast<std::size_t>(s.characters) + 1);
        if (text.size() > most) {
            all.unused += static_cast<std::int64_t>(text.size() - most);
            text.resize(most);
        }
        NodeRows rows;
        const int user = static_cast<int>(k);
        add_windows(text, s, 0, speech.alphabet, user, all.table, rows.train);
        add_windows(held, s, static_cast<std::size_t>(s.lead), speech.alphabet, user, all.table, rows.test);
        all.table.user_names.push_back(speech.speakers[k]);
        all.parts.push_back(std::move(rows));
    }
    return all;
}

}  // namespace dunlin
