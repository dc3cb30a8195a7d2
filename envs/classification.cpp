// SPDX-License-Identifier: Apache-2.0
#include "envs/classification.hpp"

namespace dunlin {

template <class S, class Net>
Result<Classification<S, Net>> Classification<S, Net>::make(const Shape& shape, const Kernels<S>& kernels,
                                                            int batch, int slots, Arena& arena, int places) {
    const int class_limit = places == 1 ? 256 : LabelledRows::unlabelled;
    if (places < 1 || shape.outputs() % places != 0) return fail(Code::shape_mismatch, shape.outputs(), places);
    if (shape.outputs() / places > class_limit)
        return fail(Code::out_of_range, shape.outputs() / places, class_limit);
    if (batch < 1 || batch > classification_batch_limit)
        return fail(Code::out_of_range, batch, classification_batch_limit);
    if (slots < 1) return fail(Code::out_of_range, slots, 1);

    const Net net(shape, kernels, batch, arena);
    const std::span<Batch> batches = arena.take<Batch>(static_cast<std::size_t>(slots) + 1);
    const std::ptrdiff_t stride = pad_columns(batch);
    const auto columns = static_cast<std::size_t>(stride);
    for (Batch& b : batches) {
        const int inputs = Net::inputs(shape);
        S* memory = arena.take<S>(static_cast<std::size_t>(inputs + shape.outputs()) * columns).data();
        b = {{memory, stride}, {memory + inputs * stride, stride}, 0, 0, 0};
    }
    S* probabilities = arena.take<S>(static_cast<std::size_t>(shape.outputs()) * columns).data();
    return Classification(net, kernels, batches, {probabilities, stride}, batch, places);
}

/// The first `count` rows of `from`, or `count` drawn ones.
template <class S, class Net>
void Classification<S, Net>::fill(Batch& batch, const LabelledRows& from, int count, Stream* random) {
    batch.count = count;
    batch.columns = pad_columns(count);
    const bool in_rows = few(batch);
    for (int k = 0; k < shape().outputs(); ++k) std::fill_n(batch.weights.row(k), batch.columns, S(0));
    batch.labels = 0;
    const auto rows = static_cast<std::uint32_t>(from.rows.size());
    for (int c = 0; c < count; ++c) {
        const std::uint32_t index = from.rows[random ? random->below(rows) : static_cast<std::uint32_t>(c)];
        const float* row = from.row(index);
        if (in_rows) {
            std::copy_n(row, from.features, samples(batch).data + c * samples(batch).stride);
        } else {
            for (int k = 0; k < from.features; ++k) batch.inputs.row(k)[c] = S(row[k]);
        }
        for (int place = 0; place < places_; ++place) {
            const int label = from.label(index, place);
            if (label < 0) continue;
            at(batch.weights, place).row(label)[c] = S(-1);
            ++batch.labels;
        }
    }
    const S share = S(1) / S(std::max(batch.labels, 1));
    for (int k = 0; k < shape().outputs(); ++k) {
        S* const weights = batch.weights.row(k);
        for (int c = 0; c < batch.columns; ++c) weights[c] *= share;
    }
}

template <class S, class Net>
void Classification<S, Net>::draw(int slot, ConstVector<S> /*w*/, Stream& random) {
    random.next_epoch();
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    const auto capacity = static_cast<std::size_t>(batch_);
    const bool all = node.rows.size() <= capacity;
    fill(batch, node, all ? static_cast<int>(node.rows.size()) : batch_, all ? nullptr : &random);
    if constexpr (Net::drops_out) batch.dropout = random.lane(0);
}

/// Few samples as columns, in the batch for evaluation.
template <class S, class Net>
void Classification<S, Net>::spread(const Batch& batch) {
    Batch& to = batches_.back();
    to.count = batch.count;
    to.columns = batch.columns;
    to.labels = batch.labels;
    for (int c = 0; c < batch.count; ++c) {
        const S* sample = samples(batch).data + c * samples(batch).stride;
        for (int k = 0; k < Net::inputs(shape()); ++k) to.inputs.row(k)[c] = sample[k];
    }
    for (int k = 0; k < shape().outputs(); ++k) std::copy_n(batch.weights.row(k), batch.columns, to.weights.row(k));
}

template <class S, class Net>
void Classification<S, Net>::forward(const Batch& batch, ConstVector<S> w) {
    if constexpr (Net::drops_out) {
        net_.forward(w.data(), batch.inputs, batch.columns, to_train_on(batch) ? &batch.dropout : nullptr);
    } else if (few(batch)) {
        net_.forward_few(w.data(), samples(batch), batch.count);
    } else {
        net_.forward(w.data(), batch.inputs, batch.columns);
    }
    for (int place = 0; place < places_; ++place)
        kernels_->softmax(at(net_.outputs(), place), at(probabilities_, place), head().classes, batch.columns);
}

template <class S, class Net>
S Classification<S, Net>::value(int slot, ConstVector<S> w) {
    const Batch& batch = batches_[static_cast<std::size_t>(slot)];
    forward(batch, w);
    S sum = 0;
    for (int place = 0; place < places_; ++place)
        sum += head().value(at(probabilities_, place), at(batch.weights, place), batch.columns);
    return sum;
}

template <class S, class Net>
void Classification<S, Net>::set_deltas(const Batch& batch) {
    for (int place = 0; place < places_; ++place)
        head().delta(at(probabilities_, place), at(batch.weights, place), at(net_.output_deltas(), place),
                     batch.columns);
}

template <class S, class Net>
void Classification<S, Net>::gradient(int slot, ConstVector<S> w, Vector<S> out) {
    const Batch& batch = batches_[static_cast<std::size_t>(slot)];
    forward(batch, w);
    set_deltas(batch);
    if constexpr (Net::knows_few) {
        if (few(batch)) return net_.gradient_few(w.data(), samples(batch), batch.count, out);
    }
    net_.gradient(w.data(), batch.inputs, batch.columns, out);
}

template <class S, class Net>
void Classification<S, Net>::hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out) {
    const Batch& drawn = batches_[static_cast<std::size_t>(slot)];
    if (few(drawn)) spread(drawn);
    const Batch& batch = few(drawn) ? batches_.back() : drawn;
    forward(batch, w);
    net_.tangent(w.data(), v.data(), batch.inputs, batch.columns);
    set_deltas(batch);
    for (int place = 0; place < places_; ++place)
        head().tangent_delta(at(probabilities_, place), at(batch.weights, place), at(net_.output_tangents(), place),
                             at(net_.output_tangent_deltas(), place), batch.columns);
    net_.product(w.data(), v.data(), batch.inputs, batch.columns, out);
}

template <class S, class Net>
ClassificationScore Classification<S, Net>::evaluate(const LabelledRows& rows, ConstVector<S> w) {
    Batch& batch = batches_.back();
    ClassificationScore score;
    LabelledRows rest = rows;
    while (!rest.rows.empty()) {
        const std::size_t count = std::min(rest.rows.size(), static_cast<std::size_t>(batch.inputs.stride));
        fill(batch, rest, static_cast<int>(count), nullptr);
        forward(batch, w);
        for (int place = 0; place < places_; ++place) {
            const Columns<S> all = at(probabilities_, place);
            score.loss_sum += static_cast<double>(batch.labels) *
                              static_cast<double>(head().value(all, at(batch.weights, place), batch.columns));
            for (std::size_t c = 0; c < count; ++c) {
                int best = 0;
                for (int k = 1; k < head().classes; ++k) {
                    if (all.row(k)[c] > all.row(best)[c]) best = k;
                }
                score.correct += best == rest.label(rest.rows[c], place) ? 1 : 0;
            }
        }
        score.rows += batch.labels;
        rest.rows = rest.rows.subspan(count);
    }
    return score;
}

template class Classification<float>;
template class Classification<double>;
template class Classification<float, NetworkDerivatives<float>>;
template class Classification<double, NetworkDerivatives<double>>;

}  // namespace dunlin
