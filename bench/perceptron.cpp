// SPDX-License-Identifier: Apache-2.0
// How fast perceptrons are, as a share of what one core can multiply and add, beside plain Eigen products.
// Counted are the multiply-adds of the products alone, and no gradient towards the input.
#include "bench.hpp"
#include "core/arena.hpp"
#include "core/mlp.hpp"
#include "core/random.hpp"
#include "eigen_rival.hpp"
#include "peak.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace dunlin::bench {
namespace {

struct Network {
    const char* name;
    int inputs, hidden, outputs;

    double forward() const { return hidden * (inputs + hidden + outputs); }
    double both() const { return 3.0 * forward() - inputs * hidden; }
    MlpShape shape(Activation activation) const {
        const int widths[] = {hidden, hidden};
        return MlpShape::make(inputs, widths, outputs, activation).value();
    }
};
constexpr Network networks[] = {{"2-64-64-5", 2, 64, 5}, {"4-32-32-4", 4, 32, 4}};

/// The best rate of multiply-adds, per second, that any set of instructions reaches on this core. Looked at before
/// every measurement, so that the clock is the same.
double peak() {
    static double best = 0;
    for (auto set = available_kernels(); *set != nullptr; ++set) {
        for (int repeat = 0; repeat < 5; ++repeat) {
            const auto start = std::chrono::steady_clock::now();
            const double count = run_chains((*set)->name, 20000);
            const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
            best = std::max(best, count / seconds.count());
        }
    }
    return best;
}

/// Runs `body` as often as the benchmark asks; returns the runs per second of this thread's time, so that programs
/// beside this one count for little.
template <class Body>
double run(benchmark::State& state, Body body) {
    const std::clock_t start = std::clock();
    for (auto _ : state) {
        body();
        benchmark::ClobberMemory();
    }
    return static_cast<double>(state.iterations()) * CLOCKS_PER_SEC / static_cast<double>(std::clock() - start);
}

void report(benchmark::State& state, double samples_per_second, double multiply_adds_each) {
    state.counters["Msamples_per_s"] = 1e-6 * samples_per_second;
    state.counters["share_of_peak"] = samples_per_second * multiply_adds_each / peak();
}

void measure_peak(benchmark::State& state, const char* kernels) {
    const double each = run_chains(kernels, 1000);
    state.counters["GFLOP_per_s"] = 2e-9 * each * run(state, [&] { run_chains(kernels, 1000); });
}

/// Numbers in [-0.5, 0.5], on a cache line's boundary.
struct Numbers {
    explicit Numbers(std::size_t count, float scale = 1.0f)
        : data(static_cast<float*>(::operator new (sizeof(float) * count, std::align_val_t{Arena::alignment}))) {
        Stream random(1, 0, Purpose::data);
        for (std::size_t k = 0; k < count; ++k) {
            data[k] = (static_cast<float>(random.bits() >> 8) * 0x1p-24f - 0.5f) * scale;
        }
    }
    ~Numbers() { ::operator delete (data, std::align_val_t{Arena::alignment}); }
    Numbers(const Numbers&) = delete;
    Numbers& operator=(const Numbers&) = delete;

    float* data;
};

constexpr float weight_scale = 0.5f;

void forward_one(benchmark::State& state, const Kernels<float>* kernels, const Network& network,
                 Activation activation) {
    const Mlp<float> mlp{network.shape(activation), kernels};
    const Numbers parameters(mlp.shape.parameters(), weight_scale), x(16);
    Numbers activations(static_cast<std::size_t>(mlp.shape.units()));
    report(state, run(state, [&] { mlp.forward_one(parameters.data, x.data, activations.data); }),
           network.forward());
}

void train(benchmark::State& state, const Kernels<float>* kernels, const Network& network, Activation activation,
           int columns) {
    const Mlp<float> mlp{network.shape(activation), kernels};
    // An odd number of cache lines a row keeps rows from falling on the same few sets of the cache.
    const int stride = columns + column_multiple;
    const auto matrix = [&](int rows) { return static_cast<std::size_t>(rows * stride); };
    const Numbers parameters(mlp.shape.parameters(), weight_scale), x(matrix(network.inputs));
    const Numbers target(matrix(network.outputs));
    Numbers activations(matrix(mlp.shape.units())), deltas(matrix(mlp.shape.units()));
    Numbers gradient(mlp.shape.parameters());
    const Columns<float> y{activations.data, stride}, delta{deltas.data, stride};
    const double rate = run(state, [&] {
        mlp.forward(parameters.data, {{x.data, stride}}, y, columns);
        for (int o = 0; o < network.outputs; ++o) {
            for (int c = 0; c < columns; ++c) {
                mlp.output(delta).row(o)[c] = mlp.output(y).row(o)[c] - target.data[o * stride + c];
            }
        }
        std::fill_n(gradient.data, mlp.shape.parameters(), 0.0f);
        mlp.backward(parameters.data, {{x.data, stride}}, y, delta, columns, gradient.data);
    });
    report(state, columns * rate, network.both());
}

std::unique_ptr<void, void (*)(void*)> make_rival(const Rival& rival, const Network& network, Activation activation,
                                                  int columns) {
    const int widths[] = {network.inputs, network.hidden, network.hidden, network.outputs};
    std::unique_ptr<void, void (*)(void*)> made(rival.make(widths, 3, activation == Activation::tanh, columns),
                                                rival.drop);
    const std::size_t count = network.shape(activation).parameters();
    std::copy_n(Numbers(count, weight_scale).data, count, rival.parameters(made.get()));
    return made;
}

void rival_forward_one(benchmark::State& state, const Rival& rival, const Network& network, Activation activation) {
    const auto made = make_rival(rival, network, activation, 1);
    const Numbers x(16);
    report(state, run(state, [&] { rival.forward_one(made.get(), x.data); }), network.forward());
}

void rival_train(benchmark::State& state, const Rival& rival, const Network& network, Activation activation,
                 int columns) {
    const auto made = make_rival(rival, network, activation, columns);
    const Numbers x(static_cast<std::size_t>(network.inputs * columns));
    const Numbers target(static_cast<std::size_t>(network.outputs * columns));
    report(state, columns * run(state, [&] { rival.train(made.get(), x.data, target.data); }), network.both());
}

const Rival* rival_of(std::string_view kernels) {
#if defined(__x86_64__)
    if (kernels == "avx512") return &eigen_avx512;
    if (kernels == "avx2") return &eigen_avx2;
    if (kernels == "baseline") return &eigen_baseline;
#elif defined(__aarch64__)
    if (kernels == "neon") return &eigen_neon;
#endif
    return nullptr;
}

template <class... Arguments>
void add(const std::string& name, Arguments... arguments) {
    take_best(benchmark::RegisterBenchmark(name.c_str(), arguments...));
}

}  // namespace

void register_perceptrons() {
    for (auto set = available_kernels(); *set != nullptr; ++set) {
        if (run_chains((*set)->name, 1) > 0) add(std::string("peak/") + (*set)->name, measure_peak, (*set)->name);
    }
    for (const Network& network : networks) {
        for (Activation activation : {Activation::relu, Activation::tanh}) {
            const std::string of = network.name + std::string(activation == Activation::relu ? "/relu/" : "/tanh/");
            for (auto set = available_kernels(); *set != nullptr; ++set) {
                const std::string name = (*set)->name;
                const Rival* rival = rival_of(name);
                add(of + "forward_one/" + name, forward_one, *set, network, activation);
                if (rival) add(of + "forward_one/eigen_" + name, rival_forward_one, *rival, network, activation);
                for (int columns : {32, 128}) {
                    const std::string step = of + "train_" + std::to_string(columns) + "/";
                    add(step + name, train, *set, network, activation, columns);
                    if (rival) add(step + "eigen_" + name, rival_train, *rival, network, activation, columns);
                }
            }
        }
    }
}

}  // namespace dunlin::bench
