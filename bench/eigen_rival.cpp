// SPDX-License-Identifier: Apache-2.0
// Compiled once for each instruction set, with Eigen and RIVAL defined as names of its own (bench/CMakeLists.txt).
#include "eigen_rival.hpp"

#include <Eigen/Core>

namespace dunlin::bench {
namespace {

using Eigen::Map;
using Eigen::MatrixXf;
using Eigen::VectorXf;

struct Network {
    int widths[9];
    int layers;
    bool tanh;
    VectorXf parameters, gradient;
    MatrixXf activations[8], deltas[8];
    VectorXf sample[8];

    static Map<MatrixXf> weights(float* p, int inputs, int outputs) { return {p, outputs, inputs}; }

    template <class Matrix>
    void activate(Matrix& h, int l) const {
        if (l + 1 == layers) return;
        if (tanh) {
            h.array() = h.array().tanh();
        } else {
            h.array() = h.array().max(0.0f);
        }
    }
};

void* make(const int* widths, int layers, bool tanh, int columns) {
    Network* network = new Network;
    int count = 0;
    network->layers = layers;
    network->tanh = tanh;
    network->widths[0] = widths[0];
    for (int l = 0; l < layers; ++l) {
        const int outputs = network->widths[l + 1] = widths[l + 1];
        count += (widths[l] + 1) * outputs;
        network->activations[l].setZero(outputs, columns);
        network->deltas[l].setZero(outputs, columns);
        network->sample[l].setZero(outputs);
    }
    network->parameters.setZero(count);
    network->gradient.setZero(count);
    return network;
}

void drop(void* network) {
    delete static_cast<Network*>(network);
}

float* parameters(void* network) {
    return static_cast<Network*>(network)->parameters.data();
}

const float* forward_one(void* data, const float* x) {
    Network& network = *static_cast<Network*>(data);
    float* p = network.parameters.data();
    for (int l = 0; l < network.layers; ++l) {
        const int inputs = network.widths[l], outputs = network.widths[l + 1];
        VectorXf& y = network.sample[l];
        y = Map<VectorXf>(p + inputs * outputs, outputs);
        y.noalias() += Network::weights(p, inputs, outputs) * Map<const VectorXf>(x, inputs);
        network.activate(y, l);
        x = y.data();
        p += (inputs + 1) * outputs;
    }
    return x;
}

const float* train(void* data, const float* x, const float* target) {
    Network& network = *static_cast<Network*>(data);
    const int layers = network.layers;
    const auto columns = network.activations[0].cols();
    const auto input = [&](int l) {
        return Map<const MatrixXf>(l == 0 ? x : network.activations[l - 1].data(), network.widths[l], columns);
    };
    float* p = network.parameters.data();
    for (int l = 0; l < layers; ++l) {
        const int inputs = network.widths[l], outputs = network.widths[l + 1];
        MatrixXf& y = network.activations[l];
        y.noalias() = Network::weights(p, inputs, outputs) * input(l);
        y.colwise() += Map<VectorXf>(p + inputs * outputs, outputs);
        network.activate(y, l);
        p += (inputs + 1) * outputs;
    }
    network.deltas[layers - 1] =
        network.activations[layers - 1] - Map<const MatrixXf>(target, network.widths[layers], columns);
    float* g = network.gradient.data() + network.gradient.size();
    for (int l = layers - 1; l >= 0; --l) {
        const int inputs = network.widths[l], outputs = network.widths[l + 1];
        p -= (inputs + 1) * outputs;
        g -= (inputs + 1) * outputs;
        Network::weights(g, inputs, outputs).noalias() = network.deltas[l] * input(l).transpose();
        Map<VectorXf>(g + inputs * outputs, outputs) = network.deltas[l].rowwise().sum();
        if (l == 0) break;
        MatrixXf& delta = network.deltas[l - 1];
        const auto h = network.activations[l - 1].array();
        delta.noalias() = Network::weights(p, inputs, outputs).transpose() * network.deltas[l];
        if (network.tanh) {
            delta.array() *= 1.0f - h.square();
        } else {
            delta.array() *= (h > 0.0f).cast<float>();
        }
    }
    return network.gradient.data();
}

}  // namespace

extern const Rival RIVAL = {make, drop, parameters, forward_one, train};

}  // namespace dunlin::bench
