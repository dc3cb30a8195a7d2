// SPDX-License-Identifier: Apache-2.0
#include "envs/mixture_classification.hpp"

#include <limits>
#include <memory>

namespace dunlin {
namespace {

template <class S>
void softmax(ConstVector<S> logits, Vector<S> out) {
    const S largest = *std::max_element(logits.begin(), logits.end());
    S sum = 0;
    for (std::size_t k = 0; k < out.size(); ++k) sum += out[k] = portable::exp(logits[k] - largest);
    for (S& value : out) value /= sum;
}

}  // namespace

template <class S>
std::size_t MixtureClassification<S>::bytes(const MlpShape& shape, const MixtureSettings& settings) {
    const auto predictors = static_cast<std::size_t>(settings.predictors);
    const auto columns = static_cast<std::size_t>(pad_columns(settings.batch));
    const auto rows =
        static_cast<std::size_t>(shape.inputs) + predictors * (static_cast<std::size_t>(shape.outputs()) + 2);
    return predictors * MlpDerivatives<S>::bytes(shape, settings.batch) +
           Arena::bytes<MlpDerivatives<S>>(predictors) + Arena::bytes<int>(columns) +
           Arena::bytes<S>(rows * columns) + Arena::bytes<S>(predictors) + Arena::bytes<S>(shape.parameters());
}

template <class S>
Result<MixtureClassification<S>> MixtureClassification<S>::make(const MlpShape& shape, const Kernels<S>& kernels,
                                                                const MixtureSettings& settings, Arena& arena) {
    constexpr int class_limit = 256;
    if (shape.outputs() > class_limit) return fail(Code::out_of_range, shape.outputs(), class_limit);
    if (settings.predictors < 1 || settings.predictors > MixtureSettings::predictor_limit) {
        return fail(Code::out_of_range, settings.predictors, MixtureSettings::predictor_limit);
    }
    if (settings.batch < 1 || settings.batch > classification_batch_limit) {
        return fail(Code::out_of_range, settings.batch, classification_batch_limit);
    }
    const auto predictors = static_cast<std::size_t>(settings.predictors);
    const std::ptrdiff_t stride = pad_columns(settings.batch);
    MixtureClassification task;
    task.settings_ = settings;
    std::byte* nets = arena.take<std::byte>(Arena::bytes<MlpDerivatives<S>>(predictors)).data();
    task.nets_ = {reinterpret_cast<MlpDerivatives<S>*>(nets), predictors};
    for (MlpDerivatives<S>& net : task.nets_) std::construct_at(&net, shape, kernels, settings.batch, arena);
    task.batch_.labels = arena.take<int>(static_cast<std::size_t>(stride));
    const auto rows =
        static_cast<std::size_t>(shape.inputs) + predictors * (static_cast<std::size_t>(shape.outputs()) + 2);
    S* at = arena.take<S>(rows * static_cast<std::size_t>(stride)).data();
    const auto matrix = [&](std::ptrdiff_t height) {
        const Columns<S> own{at, stride};
        at += height * stride;
        return own;
    };
    task.batch_.inputs = matrix(shape.inputs);
    task.probabilities_ = matrix(static_cast<std::ptrdiff_t>(settings.predictors) * shape.outputs());
    task.responsibility_ = matrix(settings.predictors);
    task.slope_ = matrix(settings.predictors);
    task.sigma_ = arena.take<S>(predictors);
    task.scratch_ = arena.take<S>(shape.parameters());
    return task;
}

/// `count` rows of `from`: those from `first` on, or drawn ones.
template <class S>
void MixtureClassification<S>::fill(const LabelledRows& from, std::size_t first, int count, Stream* random) {
    batch_.count = count;
    batch_.columns = pad_columns(count);
    const auto rows = static_cast<std::uint32_t>(from.rows.size());
    for (int c = 0; c < count; ++c) {
        const std::uint32_t index = from.rows[random ? random->below(rows) : first + static_cast<std::size_t>(c)];
        const float* row = from.row(index);
        for (int k = 0; k < from.features; ++k) batch_.inputs.row(k)[c] = S(row[k]);
        batch_.labels[static_cast<std::size_t>(c)] = from.label(index);
    }
}

template <class S>
void MixtureClassification<S>::draw(Stream& random) {
    random.next_epoch();
    const bool all = node.rows.size() <= static_cast<std::size_t>(settings_.batch);
    fill(node, 0, all ? static_cast<int>(node.rows.size()) : settings_.batch, all ? nullptr : &random);
}

/// Probabilities and responsibilities of the batch; answers minus the log-likelihood per row.
template <class S>
S MixtureClassification<S>::forward(ConstVector<S> x, ConstVector<S> lambda) {
    softmax<S>(lambda, sigma_);
    for (std::size_t k = 0; k < predictors(); ++k) {
        const MlpDerivatives<S>& net = nets_[k];
        net.forward(x.data() + k * part(), batch_.inputs, batch_.columns);
        net.mlp.kernels->softmax(net.outputs(), probability(k), classes(), batch_.columns);
    }
    S sum = 0;
    for (int c = 0; c < batch_.count; ++c) {
        const int label = batch_.labels[static_cast<std::size_t>(c)];
        S total = std::numeric_limits<S>::min();  // where no predictor leaves the label anything
        for (std::size_t k = 0; k < predictors(); ++k) {
            const S joint = sigma_[k] * probability(k).row(label)[c];
            responsibility_.row(static_cast<std::ptrdiff_t>(k))[c] = joint;
            total += joint;
        }
        for (std::size_t k = 0; k < predictors(); ++k) {
            responsibility_.row(static_cast<std::ptrdiff_t>(k))[c] /= total;
        }
        sum -= portable::log(total);
    }
    return sum / S(batch_.count);
}

template <class S>
S MixtureClassification<S>::value(ConstVector<S> x, ConstVector<S> lambda) {
    return forward(x, lambda) + S(settings_.inner_ridge) / 2 * dot(x, x);
}

/// After `forward`: the likelihood's gradient by predictor k's parameters.
template <class S>
void MixtureClassification<S>::backward(ConstVector<S> x, std::size_t k, Vector<S> out) {
    const MlpDerivatives<S>& net = nets_[k];
    const S share = S(1) / S(batch_.count);
    const S* r = responsibility_.row(static_cast<std::ptrdiff_t>(k));
    for (int label = 0; label < classes(); ++label) {
        const S* p = probability(k).row(label);
        S* delta = net.output_deltas().row(label);
        for (int c = 0; c < batch_.count; ++c) delta[c] = share * r[c] * p[c];
        std::fill(delta + batch_.count, delta + batch_.columns, S(0));
    }
    for (int c = 0; c < batch_.count; ++c) {
        net.output_deltas().row(batch_.labels[static_cast<std::size_t>(c)])[c] -= share * r[c];
    }
    net.gradient(x.data() + k * part(), batch_.inputs, batch_.columns, out);
}

template <class S>
void MixtureClassification<S>::gradient(ConstVector<S> x, ConstVector<S> lambda, Vector<S> out) {
    forward(x, lambda);
    for (std::size_t k = 0; k < predictors(); ++k) backward(x, k, out.subspan(k * part(), part()));
    for (std::size_t k = 0; k < out.size(); ++k) out[k] += S(settings_.inner_ridge) * x[k];
}

template <class S>
void MixtureClassification<S>::products(ConstVector<S> x, ConstVector<S> lambda, ConstVector<S> direction,
                                        Vector<S> hessian, Vector<S> mixed) {
    forward(x, lambda);
    const S share = S(1) / S(batch_.count);
    // a_k = R log p_k(label), and for each predictor and row the mean tangent of its logits.
    for (std::size_t k = 0; k < predictors(); ++k) {
        const MlpDerivatives<S>& net = nets_[k];
        net.tangent(x.data() + k * part(), direction.data() + k * part(), batch_.inputs, batch_.columns);
        S* a = slope_.row(static_cast<std::ptrdiff_t>(k));
        std::fill(a, a + batch_.count, S(0));
        for (int label = 0; label < classes(); ++label) {
            const S* p = probability(k).row(label);
            const S* tangent = net.output_tangents().row(label);
            for (int c = 0; c < batch_.count; ++c) a[c] -= p[c] * tangent[c];
        }
        // Logits shifted by their mean: softmax does not change, and p's tangent becomes p times the shifted one.
        for (int label = 0; label < classes(); ++label) {
            S* tangent = net.output_tangents().row(label);
            for (int c = 0; c < batch_.count; ++c) tangent[c] += a[c];
        }
        for (int c = 0; c < batch_.count; ++c) {
            a[c] = net.output_tangents().row(batch_.labels[static_cast<std::size_t>(c)])[c];
        }
    }
    // R r_k = r_k (a_k - sum of r a); its mean is minus the mixed product.
    std::fill(mixed.begin(), mixed.end(), S(0));
    for (int c = 0; c < batch_.count; ++c) {
        S mean = 0;
        for (std::ptrdiff_t k = 0; k < std::ssize(mixed); ++k) mean += responsibility_.row(k)[c] * slope_.row(k)[c];
        for (std::ptrdiff_t k = 0; k < std::ssize(mixed); ++k) {
            S& a = slope_.row(k)[c];
            a = responsibility_.row(k)[c] * (a - mean);
            mixed[static_cast<std::size_t>(k)] -= share * a;
        }
    }
    for (std::size_t k = 0; k < predictors(); ++k) {
        const MlpDerivatives<S>& net = nets_[k];
        const Vector<S> out = hessian.subspan(k * part(), part());
        const S* r = responsibility_.row(static_cast<std::ptrdiff_t>(k));
        const S* moved = slope_.row(static_cast<std::ptrdiff_t>(k));
        for (int label = 0; label < classes(); ++label) {
            const S* p = probability(k).row(label);
            const S* tangent = net.output_tangents().row(label);
            S* delta = net.output_deltas().row(label);
            S* tangent_delta = net.output_tangent_deltas().row(label);
            for (int c = 0; c < batch_.count; ++c) {
                delta[c] = share * r[c] * p[c];
                tangent_delta[c] = share * p[c] * (moved[c] + r[c] * tangent[c]);
            }
            std::fill(delta + batch_.count, delta + batch_.columns, S(0));
            std::fill(tangent_delta + batch_.count, tangent_delta + batch_.columns, S(0));
        }
        for (int c = 0; c < batch_.count; ++c) {
            const int label = batch_.labels[static_cast<std::size_t>(c)];
            net.output_deltas().row(label)[c] -= share * r[c];
            net.output_tangent_deltas().row(label)[c] -= share * moved[c];
        }
        net.product(x.data() + k * part(), direction.data() + k * part(), batch_.inputs, batch_.columns, out);
    }
    for (std::size_t k = 0; k < hessian.size(); ++k) hessian[k] += S(settings_.inner_ridge) * direction[k];
}

template <class S>
S MixtureClassification<S>::outer_gradient(ConstVector<S> x, ConstVector<S> lambda, Vector<S> inner,
                                           Vector<S> outer) {
    const std::size_t rows = node.rows.size(), capacity = static_cast<std::size_t>(settings_.batch);
    std::fill(inner.begin(), inner.end(), S(0));
    std::fill(outer.begin(), outer.end(), S(0));
    S sum = 0;
    for (std::size_t first = 0; first < rows; first += capacity) {
        const std::size_t count = std::min(capacity, rows - first);
        const S share = S(count) / S(rows);
        fill(node, first, static_cast<int>(count), nullptr);
        sum += share * forward(x, lambda);
        for (std::size_t k = 0; k < predictors(); ++k) {
            const S* r = responsibility_.row(static_cast<std::ptrdiff_t>(k));
            for (std::size_t c = 0; c < count; ++c) outer[k] += (sigma_[k] - r[c]) / S(rows);
            backward(x, k, scratch_);
            S* own = inner.data() + k * part();
            for (std::size_t p = 0; p < part(); ++p) own[p] += share * scratch_[p];
        }
    }
    for (std::size_t k = 0; k < outer.size(); ++k) outer[k] += S(settings_.outer_ridge) * lambda[k];
    return sum + S(settings_.outer_ridge) / 2 * dot(lambda, lambda);
}

template <class S>
ClassificationScore MixtureClassification<S>::evaluate(const LabelledRows& rows, ConstVector<S> x,
                                                       ConstVector<S> lambda) {
    const std::size_t capacity = static_cast<std::size_t>(settings_.batch);
    ClassificationScore score;
    for (std::size_t first = 0; first < rows.rows.size(); first += capacity) {
        const int count = static_cast<int>(std::min(capacity, rows.rows.size() - first));
        fill(rows, first, count, nullptr);
        score.loss_sum += count * static_cast<double>(forward(x, lambda));
        for (int c = 0; c < count; ++c) {
            int best = 0;
            S most = -1;
            for (int label = 0; label < classes(); ++label) {
                S total = 0;
                for (std::size_t k = 0; k < predictors(); ++k) total += sigma_[k] * probability(k).row(label)[c];
                if (total > most) {
                    most = total;
                    best = label;
                }
            }
            score.correct += best == batch_.labels[static_cast<std::size_t>(c)] ? 1 : 0;
        }
        score.rows += count;
    }
    return score;
}

template class MixtureClassification<float>;
template class MixtureClassification<double>;

static_assert(BilevelTask<MixtureClassification<float>> && BilevelTask<MixtureClassification<double>, double>);

}  // namespace dunlin
