// SPDX-License-Identifier: Apache-2.0
// How fast networks of all kinds of layers are: forward and backward, and a Hessian-vector product beyond it, as a share
// of what one core can multiply and add, which the same run measures. Counted are the multiply-adds of the products: of
// a forward pass once, of a backward pass once for the weights and once for what comes in, where anything is below. Where
// oneDNN is there, it does the same networks in the same run.
#include "core/arena.hpp"
#include "core/network/network.hpp"
#include "dnnl_rival.hpp"
#include "peak.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <new>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

using namespace dunlin;

struct Numbers {
    explicit Numbers(std::size_t count, float scale = 0.2f)
        : data(static_cast<float*>(::operator new (sizeof(float) * count, std::align_val_t{Arena::alignment}))) {
        Stream random(1, 0, Purpose::data);
        for (std::size_t k = 0; k < count; ++k) data[k] = (random.uniform() - 0.5f) * scale;
    }
    ~Numbers() { ::operator delete (data, std::align_val_t{Arena::alignment}); }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;

    float* data;
};

/// Multiply-adds a second of one core: the best that any set of instructions reaches now.
double peak() {
    double best = 0;
    for (auto set = available_kernels(); *set != nullptr; ++set) {
        for (int repeat = 0; repeat < 5; ++repeat) {
            const auto start = std::chrono::steady_clock::now();
            const double count = bench::run_chains((*set)->name, 20000);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            best = std::max(best, count / seconds.count());
        }
    }
    return best;
}

/// Of one sample, forward; and with backward.
struct Work {
    double forward = 0, both = 0;
};

Work work_of(const NetworkShape& shape) {
    Work work;
    for (int l = 0; l < shape.layers; ++l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const double weights = static_cast<double>(shape.parameters(l));
        double each = 0;
        switch (layer.spec.kind) {
            case LayerKind::dense:
                each = weights - layer.out.size();
                break;
            case LayerKind::convolution:
                each = static_cast<double>(ConvolutionLayer::weights(layer.spec, layer.in)) * layer.out.places();
                break;
            case LayerKind::gru:
            case LayerKind::lstm: {
                const double units = layer.spec.outputs, gates = layer.spec.kind == LayerKind::gru ? 3 : 4;
                each =
                    gates * units * (layer.in.channels + units) * layer.in.width * (layer.spec.both_ways ? 2 : 1);
                break;
            }
            default:
                break;
        }
        work.forward += each;
        work.both += (l == 0 ? 2.0 : 3.0) * each;
    }
    return work;
}

struct Case {
    const char* name;
    Extent input;
    std::vector<LayerSpec> layers;
};

LayerSpec convolution(int side, int channels, int stride = 1, int groups = 1, int pad = 0) {
    return {.kind = LayerKind::convolution,
            .activation = groups > 1 ? Activation::identity : Activation::relu,
            .outputs = channels,
            .kernel_height = side,
            .kernel_width = side,
            .stride_height = stride,
            .stride_width = stride,
            .pad_height = pad,
            .pad_width = pad,
            .groups = groups};
}
LayerSpec pool() {
    return {.kind = LayerKind::maximum_pool,
            .kernel_height = 2,
            .kernel_width = 2,
            .stride_height = 2,
            .stride_width = 2};
}
LayerSpec dense(int outputs, Activation activation = Activation::identity) {
    return {.kind = LayerKind::dense, .activation = activation, .outputs = outputs};
}
LayerSpec recurrent(LayerKind kind, int units) {
    return {.kind = kind, .outputs = units};
}

std::vector<Case> cases() {
    using K = LayerKind;
    return {
        {"cifar",
         {32, 32, 3},
         {convolution(3, 32), pool(), convolution(3, 64), pool(), dense(128, Activation::relu), dense(10)}},
        {"keywords",
         {20, 20, 1},
         {convolution(3, 8, 2), convolution(3, 8, 1, 8), convolution(1, 16), {.kind = K::global_pool}, dense(10)}},
        {"gru64", {1, 20, 20}, {recurrent(K::gru, 64), dense(10)}},
        {"gru256", {1, 20, 20}, {recurrent(K::gru, 256), dense(10)}},
        {"lstm64", {1, 20, 20}, {recurrent(K::lstm, 64), dense(10)}},
        {"lstm256", {1, 20, 20}, {recurrent(K::lstm, 256), dense(10)}},
        {"784-64-64-10", {1, 1, 784}, {dense(64, Activation::relu), dense(64, Activation::relu), dense(10)}}};
}

double thread_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The best of seven, in seconds of this thread.
template <class Body>
double fastest(const Body& body) {
    double best = 1e9;
    for (int k = 0; k < 7; ++k) {
        const double start = thread_seconds();
        body();
        best = std::min(best, thread_seconds() - start);
    }
    return best;
}

void onednn(benchmark::State& state, const Case& what, int batch) {
    const NetworkShape shape = NetworkShape::make(what.input, false, what.layers).value();
    const auto net = bench::make_dnnl_network(shape, batch);
    if (net == nullptr) return state.SkipWithError("not among what was built");
    const double rate = peak();
    double forward = 1e9, both = 1e9;
    for (auto _ : state) {
        forward = std::min(forward, fastest([&] { net->forward(); }));
        both = std::min(both, fastest([&] {
                            net->forward();
                            net->backward();
                        }));
    }
    const Work work = work_of(shape);
    state.counters["samples_per_s"] = batch / both;
    state.counters["forward_share"] = work.forward * batch / forward / rate;
    state.counters["share_of_peak"] = work.both * batch / both / rate;
}

void derivatives(benchmark::State& state, const Case& what, const Kernels<float>* set, int batch) {
    const NetworkShape shape = NetworkShape::make(what.input, false, what.layers).value();
    const int stride = batch + column_multiple;  // an odd number of cache lines
    const std::size_t size = static_cast<std::size_t>(shape.units()) * static_cast<std::size_t>(stride);
    const Numbers parameters(shape.parameters()), direction(shape.parameters()),
        x(static_cast<std::size_t>(what.input.size()) * static_cast<std::size_t>(stride), 2.0f);
    Numbers activations(size), deltas(size), tangents(size), tangent_deltas(size),
        gradient(shape.parameters(), 0.0f), scratch(shape.scratch_scalars());
    const Network<float> net{shape, *set, scratch.data};
    const NetworkInputs<float> input{{x.data, stride}};
    const auto at = [&](const Numbers& numbers) { return Columns<float>{numbers.data, stride}; };
    const auto seed = [&](const Numbers& numbers) {
        clear_rows(net.output(at(numbers)), shape.outputs(), stride);
        for (int r = 0; r < shape.outputs(); ++r) std::fill_n(net.output(at(numbers)).row(r), batch, 0.1f);
    };
    const auto pass = [&] {
        net.forward(parameters.data, input, at(activations), batch);
        seed(deltas);
        net.backward(parameters.data, input, at(activations), at(deltas), batch, gradient.data);
    };
    const auto product = [&] {
        net.tangent_forward(parameters.data, direction.data, input, at(activations), at(tangents), batch);
        seed(deltas);
        seed(tangent_deltas);
        net.tangent_backward(parameters.data, direction.data, input, at(activations), at(tangents), at(deltas),
                             at(tangent_deltas), batch, gradient.data);
    };
    const double rate = peak();
    double forward = 1e9, both = 1e9, second = 1e9;
    for (auto _ : state) {
        forward = std::min(forward, fastest([&] { net.forward(parameters.data, input, at(activations), batch); }));
        both = std::min(both, fastest(pass));
        second = std::min(second, fastest(product));
        benchmark::ClobberMemory();
    }
    const Work work = work_of(shape);
    state.counters["samples_per_s"] = batch / both;
    state.counters["forward_share"] = work.forward * batch / forward / rate;
    state.counters["share_of_peak"] = work.both * batch / both / rate;
    state.counters["product_in_gradients"] = second / both;
}

}  // namespace

int main(int argc, char** argv) {
    for (const Case& what : cases()) {
        for (const int batch : {32, 128}) {
            const std::string name = std::string(what.name) + "/onednn/" + std::to_string(batch);
            benchmark::RegisterBenchmark(name.c_str(), onednn, what, batch)->Iterations(3);
        }
        for (const Kernels<float>* const* set = available_kernels(); *set != nullptr; ++set) {
            for (const int batch : {32, 128}) {
                const std::string name = std::string(what.name) + "/" + (*set)->name + "/" + std::to_string(batch);
                benchmark::RegisterBenchmark(name.c_str(), derivatives, what, *set, batch)->Iterations(3);
            }
        }
    }
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
}
