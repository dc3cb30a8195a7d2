// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network_shape.hpp"

#include <memory>

namespace dunlin::bench {

/// oneDNN, the rival: a network of convolutions, pools, dense layers, GRUs and LSTMs (of the last state) as a chain of
/// its primitives, in the formats that it chooses itself. Weights lie in each primitive's own format beforehand, which a
/// training loop would pay for at every step. One thread.
class DnnlNetwork {
public:
    virtual ~DnnlNetwork() = default;
    virtual void forward() = 0;
    /// After it: derivatives by all weights, and by what comes into each layer but the first.
    virtual void backward() = 0;
};

/// Null where it has no such layer, or Dunlin was built without it.
std::unique_ptr<DnnlNetwork> make_dnnl_network(const NetworkShape& shape, int batch);

}  // namespace dunlin::bench
