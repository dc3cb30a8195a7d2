// SPDX-License-Identifier: Apache-2.0
// What a Hessian-vector product costs, in gradients of the same batch: both as MAML and SPDB ask a task for them,
// forward pass and head included.
#include "bench.hpp"
#include "core/random.hpp"
#include "envs/data_table.hpp"
#include "training/host/host_memory.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace dunlin::bench {
namespace {

struct Case {
    const char* name;
    int side;
    std::vector<int> hidden;
    Activation activation;
    int batch;
};

/// A classification task with one batch in its slot.
struct Bench {
    DataTable table;
    std::vector<std::uint32_t> rows;
    HostMemory memory;
    Arena arena;
    Classification<float> task;
    std::vector<float> w, v, out;

    Bench(const Case& c, const MlpShape& shape, const Kernels<float>& kernels)
        : table(*draw_digits({.rows = 500, .side = c.side}, 1)),
          rows(table.rows()),
          memory(Classification<float>::bytes(shape, c.batch, 1)),
          arena(memory.bytes()),
          task(*Classification<float>::make(shape, kernels, c.batch, 1, arena)),
          w(shape.parameters()),
          v(w.size()),
          out(w.size()) {
        std::iota(rows.begin(), rows.end(), 0u);
        task.node = table.view(rows);
        Stream random(1, 0, Purpose::initialise);
        initialise(shape, random, w);
        initialise(shape, random, v);
        task.draw(0, w, random);
    }
};

double seconds(const std::chrono::steady_clock::time_point& since) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

/// The best times of short stretches in turn, so that what disturbs one disturbs the other.
void measure(benchmark::State& state, const Kernels<float>* kernels, const Case& c) {
    const MlpShape shape = *MlpShape::make(c.side * c.side, c.hidden, 10, c.activation);
    Bench bench(c, shape, *kernels);
    constexpr int stretch = 20;
    double gradient = 1e9, product = 1e9;
    for (auto _ : state) {
        auto start = std::chrono::steady_clock::now();
        for (int k = 0; k < stretch; ++k) bench.task.gradient(0, bench.w, bench.out);
        gradient = std::min(gradient, seconds(start));
        start = std::chrono::steady_clock::now();
        for (int k = 0; k < stretch; ++k) bench.task.hessian_vector(0, bench.w, bench.v, bench.out);
        product = std::min(product, seconds(start));
        benchmark::ClobberMemory();
    }
    // The reporter keeps the largest of each counter: rates, then.
    state.counters["gradients_per_ms"] = 1e-3 * stretch / gradient;
    state.counters["products_per_ms"] = 1e-3 * stretch / product;
    state.counters["products_per_gradient"] = gradient / product;
}

}  // namespace

void register_hessian_vectors() {
    static const Case cases[] = {{"64-64-64-10/tanh/32", 8, {64, 64}, Activation::tanh, 32},
                                 {"64-64-64-10/relu/32", 8, {64, 64}, Activation::relu, 32},
                                 {"64-64-64-10/tanh/128", 8, {64, 64}, Activation::tanh, 128},
                                 {"64-64-64-10/relu/128", 8, {64, 64}, Activation::relu, 128},
                                 {"16-64-64-10/relu/128", 4, {64, 64}, Activation::relu, 128},
                                 {"784-32-10/sigmoid/16", 28, {32}, Activation::sigmoid, 16}};
    for (const Case& c : cases) {
        for (auto set = available_kernels(); *set != nullptr; ++set) {
            const std::string name = std::string("hessian_vector/") + c.name + "/" + (*set)->name;
            take_best(benchmark::RegisterBenchmark(name.c_str(), measure, *set, c));
        }
    }
}

}  // namespace dunlin::bench
