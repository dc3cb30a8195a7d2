// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model_signature.hpp"
#include "core/network/network_signature.hpp"
#include "training/host/array_file.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What a model's outputs are.
enum class ModelHead : std::uint8_t {
    actions,   ///< logits of actions
    gaussian,  ///< means of numbers; the last outputs() parameters are the logarithms of their deviations
    classes,   ///< logits of classes
    mixture,   ///< of several networks, logits of classes each: their probabilities are averaged by weights
    score,     ///< one number: a larger one ranks higher
    value      ///< one number
};
std::string_view name_of(ModelHead head);

/// A trained model of any task as it is kept and passed on (policy.dunlin of navigation, model.dunlin of the rest;
/// docs/files.md): all that is needed to run it, and to say what it is for. One file holds the shared model and,
/// where nodes have models of their own, those too.
struct TrainedModel {
    /// Of the description. 1 had the network and perhaps `config`, and nothing below that; 2 has the rest, and is still what
    /// a perceptron is written as; 3 also knows networks of other layers and frozen layers, which a program that does
    /// not know them may not run or train.
    static constexpr std::int64_t described_format = 2, newest_format = 3;
    /// Numbers of nodes' own models that a file takes.
    static constexpr std::size_t personal_limit = std::size_t{1} << 25;

    std::string experiment;
    MlpShape shape;  ///< of one network, where it is a perceptron
    ModelHead head = ModelHead::actions;
    std::vector<float> parameters;  ///< shared, count() of them: of each network, then those of the head
    std::string config = {};        ///< all settings of the experiment, as TOML; a map from a file is in it
    std::optional<NetworkShape> network = {};  ///< a network of other layers; `shape` is then empty
    int frozen =
        0;  ///< of the layers with parameters the first so many: adapting and training leave them as they are

    std::int64_t format = described_format;  ///< of the file that it was read from
    std::int64_t updates = -1;               ///< of a job's model: how many are in it; -1: not said
    std::string task = {};                   ///< "grid-navigation", "point-navigation", "classification", ...
    std::string input = {}, output = {};     ///< a sentence each: what goes in and what comes out, in which units
    std::vector<std::string> input_names = {};   ///< of each input; empty where `input` says it
    std::vector<std::string> output_names = {};  ///< of each output: actions, classes
    std::vector<std::string> notes = {};         ///< what else to know: horizon, map
    /// The network sees (x - centre) * scale of a raw input x; both empty: x as it is.
    std::vector<float> centre = {}, scale = {};

    int networks = 1;                 ///< more than one of a mixture
    std::vector<float> weights = {};  ///< of a mixture: of each network

    std::string shared_is = {};            ///< a sentence: how the nodes' models became `parameters`
    std::string personal_is = {};          ///< and how a node makes it its own
    std::vector<std::string> nodes = {};   ///< that took part
    std::vector<float> personal = {};      ///< models of all nodes, count() each; empty: made as `personal_is` says
    std::vector<float> node_weights = {};  ///< of a mixture: of each network, node by node

    /// A file of format 1 of a classifier or a ranker had the numbers alone: shape.layers is 0.
    bool described() const { return network || shape.layers > 0; }
    bool navigates() const { return head == ModelHead::actions || gaussian(); }
    bool gaussian() const { return head == ModelHead::gaussian; }
    /// Numbers that come into the network; where it takes tokens(), of how many kinds these are.
    int inputs() const {
        if (!network) return shape.inputs;
        return network->tokens ? network->input.channels : network->input.size();
    }
    /// Is a sample a state, or a sequence of steps() tokens, instead of numbers?
    bool tokens() const { return network ? network->tokens : shape.one_hot; }
    int steps() const { return network ? network->input.width : 1; }
    int outputs() const { return network ? network->outputs() : shape.outputs(); }
    std::size_t network_parameters() const { return network ? network->parameters() : shape.parameters(); }
    /// Layers that have parameters.
    int weighted_layers() const;
    /// The part of the parameters that `frozen` says, from the first one on.
    std::size_t frozen_parameters() const;
    std::size_t count() const {
        return network_parameters() * static_cast<std::size_t>(networks) +
               (gaussian() ? static_cast<std::size_t>(outputs()) : 0);
    }
    /// CRC-32 of what the parameters mean to a program that runs them: the network and the head, not their values.
    /// Two models that run differently differ in it; never 0.
    std::uint32_t signature() const {
        return network ? model_signature(*network, gaussian()) : model_signature(shape, gaussian());
    }
    /// Takes the shared model and the nodes' own ones, which may be none, as a fleet has them: flat_count() numbers each,
    /// those of a mixture with the logits of its weights behind the networks. The shared one keeps the weights that it
    /// has.
    void take(std::vector<float> shared, std::vector<float> nodes);
    std::size_t flat_count() const { return count() + weights.size(); }
    /// The shared model as a fleet has it.
    std::vector<float> flat() const;
    /// One node's own model, with nobody else's in it; nothing where there is none.
    std::optional<TrainedModel> of_node(std::size_t node) const;

    std::string bytes() const;
    /// Errors: ArrayFile's; file_version (a newer format); too_many_layers, bad_width, file_too_large (the shape),
    /// no_such_layer (more are frozen than there are), shape_mismatch (an array's size), not_finite.
    static Result<TrainedModel> read(const std::filesystem::path& path);
};

}  // namespace dunlin
