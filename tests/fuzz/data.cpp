// SPDX-License-Identifier: Apache-2.0
// Any text as an ARFF file, as CSV, as .npy, as IDX and as speech.
#include "envs/data_csv.hpp"
#include "envs/data_npy.hpp"
#include "envs/data_table.hpp"
#include "envs/data_text.hpp"
#include "fuzz.hpp"

#include <cmath>

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text(data, size);
    if (const auto table = parse_arff(text)) {
        fuzz::require(table->rows() > 0 && table->values.size() == table->rows() * table->feature_names.size());
        fuzz::require(table->origin.size() == table->feature_names.size());
        for (const std::uint8_t label : table->labels) fuzz::require(label < table->classes);
    } else {
        for (const char c : table.error().detail) fuzz::require(static_cast<unsigned char>(c) >= 0x20);
    }
    if (const auto table = parse_csv(text)) {
        fuzz::require(table->rows() > 0 && table->values.size() == table->rows() * table->feature_names.size());
        for (const float value : table->values) fuzz::require(std::isfinite(value));
        for (const std::uint8_t label : table->labels) fuzz::require(label < table->classes);
        for (const std::int32_t user : table->users) fuzz::require(user < std::ssize(table->user_names));
    } else {
        for (const char c : table.error().detail) fuzz::require(static_cast<unsigned char>(c) >= 0x20);
    }
    CsvReader csv(text);
    for (auto more = csv.next(); more && *more; more = csv.next()) fuzz::require(!csv.fields().empty());
    if (const auto array = NpyArray::parse(text)) {
        for (std::size_t k = 0; k < array->count(); ++k) (void)array->text(k);
    }
    (void)parse_idx_images(text);
    (void)parse_idx_labels(text);
    (void)parse_speech(text);
    return 0;
}
