// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mlp.hpp"
#include "core/network/network_shape.hpp"
#include "envs/data_notes.hpp"
#include "envs/data_table.hpp"
#include "training/host/failure.hpp"
#include "training/settings/settings.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dunlin {

/// The network of a classifier as a user writes it.
struct NetworkSettings {
    std::vector<int> hidden{32};
    Activation activation = Activation::relu;
    std::vector<std::string> layers;           ///< in words (layer_text.hpp); empty: a perceptron, as `hidden` says
    std::string input;                         ///< what comes into `layers`; empty: as the data say
    std::vector<std::string> personal_layers;  ///< see split_of

    bool takes_layers() const { return !layers.empty(); }
};

/// Adds the section [model]; `node` is what a node is called ("client").
void add_network_settings(Settings& list, NetworkSettings& settings, std::string_view node);
/// Says so where hidden layers are named that no network has.
void note_hidden(const NetworkSettings& settings, DataNotes& notes);

/// What comes into a network, in words: "28x28x1" (or "28x28"), "20 steps of 13", "13". Error: names `key`.
Outcome<Extent> read_extent(std::string_view key, std::string_view text);

/// The network for such rows. Errors: name model.hidden, model.layers and the layer, or model.input.
Outcome<std::variant<MlpShape, NetworkShape>> network_for(const NetworkSettings& settings, const DataTable& table);

}  // namespace dunlin
