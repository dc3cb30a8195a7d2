// SPDX-License-Identifier: Apache-2.0
#include "envs/classification.hpp"
#include "task_checks.hpp"

#include <numeric>

using namespace dunlin;

namespace {

/// Rows with random features and labels.
struct Table {
    std::vector<float> values;
    std::vector<std::uint8_t> labels;
    std::vector<std::uint32_t> all;
    int features;

    Table(int rows, int width, int classes) : features(width) {
        Stream random(2, 0, Purpose::user);
        for (int k = 0; k < rows * width; ++k) values.push_back(random.normal());
        for (int k = 0; k < rows; ++k)
            labels.push_back(static_cast<std::uint8_t>(random.below(static_cast<std::uint32_t>(classes))));
        all.resize(static_cast<std::size_t>(rows));
        std::iota(all.begin(), all.end(), 0u);
    }
    LabelledRows view() const { return {values.data(), labels.data(), features, all}; }
};

template <class S>
struct ClassificationTask {
    TestMemory memory;
    Classification<S> task;

    ClassificationTask(const MlpShape& shape, int batch, int slots,
                       const Kernels<S>& kernels = generic_kernels<S>())
        : memory(Classification<S>::bytes(shape, batch, slots)),
          task(*Classification<S>::make(shape, kernels, batch, slots, memory.arena)) {}
};

std::vector<double> random_vector(std::size_t size, double scale, std::uint32_t node) {
    Stream random(8, node, Purpose::user);
    std::vector<double> v(size);
    for (double& x : v) x = scale * random.normal();
    return v;
}

}  // namespace

static_assert(Task<Classification<float>> && Task<Classification<double>, double>);

TEST_CASE("classification's derivatives agree with finite differences to 1e-6") {
    const Table table(30, 6, 4);
    const std::vector<int> hidden{7, 5};
    for (Activation activation : {Activation::tanh, Activation::relu}) {
        const MlpShape shape = *MlpShape::make(6, hidden, 4, activation);
        ClassificationTask<double> made(shape, 9, 2);
        made.task.node = table.view();
        const std::vector<double> w = random_vector(shape.parameters(), 0.5, 1);
        const std::vector<double> v = random_vector(shape.parameters(), 1.0, 2);
        Stream random(1, 0, Purpose::samples);
        made.task.draw(1, w, random);
        made.task.draw(0, w, random);
        check_derivatives(made.task, 0, w, v);
        check_derivatives(made.task, 1, w, v);
        CHECK(made.task.value(0, w) != made.task.value(1, w));
    }
}

TEST_CASE("without parameters the loss is log classes and accuracy that of the first class") {
    const Table table(50, 6, 4);
    const MlpShape shape = *MlpShape::make(6, {}, 4);
    ClassificationTask<double> made(shape, 8, 1);
    const std::vector<double> w(shape.parameters());
    const ClassificationScore score = made.task.evaluate(table.view(), w);
    CHECK(score.rows == 50);
    CHECK(score.loss() == Approx(std::log(4.0)));
    CHECK(score.correct == std::count(table.labels.begin(), table.labels.end(), 0));
}

TEST_CASE("a batch as large as the node's rows is all of them, and costs no random numbers") {
    const Table table(20, 6, 3);
    const MlpShape shape = *MlpShape::make(6, {}, 3);
    ClassificationTask<double> made(shape, 20, 1);
    made.task.node = table.view();
    const std::vector<double> w = random_vector(shape.parameters(), 0.5, 1);
    Stream random(1, 0, Purpose::samples);
    made.task.draw(0, w, random);
    CHECK(made.task.value(0, w) == Approx(made.task.evaluate(table.view(), w).loss()));
    CHECK(random.epoch() == 1);
}

TEST_CASE("the mean over minibatches is the loss on all of a node's rows") {
    const Table table(40, 6, 3);
    const MlpShape shape = *MlpShape::make(6, {}, 3);
    ClassificationTask<double> made(shape, 5, 1);
    made.task.node = table.view();
    const std::vector<double> w = random_vector(shape.parameters(), 0.5, 1);
    Stream random(1, 0, Purpose::samples);
    double sum = 0, square = 0;
    const int count = 20000;
    for (int k = 0; k < count; ++k) {
        made.task.draw(0, w, random);
        const double value = made.task.value(0, w);
        sum += value;
        square += value * value;
    }
    const double mean = sum / count, error = std::sqrt((square / count - mean * mean) / count);
    CHECK(std::abs(mean - made.task.evaluate(table.view(), w).loss()) < 4 * error);
}

TEST_CASE("a node with its own names for the labels sees another task on the same rows") {
    const Table table(30, 6, 3);
    const MlpShape shape = *MlpShape::make(6, {}, 3);
    ClassificationTask<double> made(shape, 8, 1);
    std::vector<double> w = random_vector(shape.parameters(), 0.5, 1), moved = w;
    const std::uint8_t relabel[] = {2, 0, 1};
    for (std::size_t row = 0; row < w.size() / 3; ++row) {  // permute the outputs as the labels are
        for (std::size_t k = 0; k < 3; ++k) moved[row * 3 + relabel[k]] = w[row * 3 + k];
    }
    LabelledRows renamed = table.view();
    renamed.relabel = relabel;
    const ClassificationScore plain = made.task.evaluate(table.view(), w);
    const ClassificationScore other = made.task.evaluate(renamed, moved);
    CHECK(other.loss() == Approx(plain.loss()));
    CHECK(other.correct == plain.correct);
    CHECK(made.task.evaluate(renamed, w).loss() != Approx(plain.loss()));
}

TEST_CASE("classification in float agrees with double, on every set of kernels") {
    const Table table(40, 6, 3);
    const MlpShape shape = *MlpShape::make(6, std::vector<int>{9}, 3);
    const std::vector<double> w = random_vector(shape.parameters(), 0.5, 1);
    const std::vector<float> wf(w.begin(), w.end());
    ClassificationTask<double> exact(shape, 12, 1);
    exact.task.node = table.view();
    Stream first(1, 0, Purpose::samples);
    exact.task.draw(0, w, first);
    std::vector<double> g(w.size());
    exact.task.gradient(0, w, g);
    for (const Kernels<float>* const* kernels = available_kernels(); *kernels != nullptr; ++kernels) {
        ClassificationTask<float> made(shape, 12, 1, **kernels);
        made.task.node = table.view();
        Stream second(1, 0, Purpose::samples);
        made.task.draw(0, wf, second);
        std::vector<float> gf(w.size());
        made.task.gradient(0, wf, gf);
        CHECK(relative_error(std::vector<double>(gf.begin(), gf.end()), g) < 1e-5);
        CHECK(made.task.value(0, wf) == Approx(exact.task.value(0, w)).epsilon(1e-5));
    }
}

TEST_CASE("few samples of wide layers give classification the bits that columns give it, Hessians too") {
    const Table table(60, 30, 10);
    const MlpShape shape = *MlpShape::make(30, std::vector<int>{40, 16}, 10, Activation::relu);
    const std::vector<double> drawn = random_vector(shape.parameters(), 0.3, 1);
    const std::vector<float> w(drawn.begin(), drawn.end()), v(drawn.rbegin(), drawn.rend());
    for (const Kernels<float>* const* kernels = available_kernels(); *kernels != nullptr; ++kernels) {
        Kernels<float> columns = **kernels;
        columns.few = nullptr;
        ClassificationTask<float> few(shape, 10, 2, **kernels), plain(shape, 10, 2, columns);
        std::vector<float> found[2], moved[2];
        float value[2];
        int k = 0;
        for (ClassificationTask<float>* made : {&few, &plain}) {
            made->task.node = table.view();
            Stream random(1, 0, Purpose::samples);
            for (const int slot : {0, 1, 0}) made->task.draw(slot, w, random);
            found[k].assign(w.size(), NAN);
            moved[k].assign(w.size(), 0.0f);
            made->task.hessian_vector(1, w, v, moved[k]);
            (void)made->task.evaluate(table.view(), w);
            made->task.gradient(0, w, found[k]);
            value[k] = made->task.value(1, w);
            ++k;
        }
        CHECK(found[0] == found[1]);
        CHECK(moved[0] == moved[1]);
        CHECK(value[0] == value[1]);
    }
}

TEST_CASE("classification refuses sizes beyond its limits") {
    const MlpShape shape = *MlpShape::make(6, {}, 3), wide = *MlpShape::make(6, {}, 300);
    TestMemory memory(1 << 16);
    const Kernels<float>& kernels = generic_kernels<float>();
    CHECK(Classification<float>::make(shape, kernels, 0, 1, memory.arena).error() ==
          Error{Code::out_of_range, 0, classification_batch_limit});
    CHECK(Classification<float>::make(wide, kernels, 1, 1, memory.arena).error() ==
          Error{Code::out_of_range, 300, 256});
    CHECK_FALSE(Classification<float>::make(shape, kernels, 1, 0, memory.arena).has_value());
}
