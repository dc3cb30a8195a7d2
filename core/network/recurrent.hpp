// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/layer.hpp"

#include <array>

namespace dunlin {

/// Rows of a step that are one sum: `count` times H of them from `row` on, from these columns of W and U (-1: not from
/// there), all in units of H.
struct GateBlock {
    int row = 0, count = 1, input = -1, state = -1;
    bool own_bias = false;
    Activation activation = Activation::identity;
};

/// A layer that walks along the width, which is time, with a state of H numbers that begins as zero. What comes out is
/// the last state, or with every_step all of them; both ways, a second walk from the end to the start has weights of
/// its own, and its state follows the first one's.
///
/// Cell says what a step is made of, and which kernels do its arithmetic. Of `rows` rows that a step keeps, the first `inputs` take W' x + b, `states` of
/// them from `states_at` on take U' h (+ a), and the last H are the state h. In matrices of derivatives the same
/// rows hold the derivatives by what these products give, and the last ones those by h. Parameters of a direction: W
/// (channels in x inputs, row-major), b, U (H x states, row-major), a (of the last `own_bias` of its rows alone).
template <class Cell>
struct RecurrentLayer {
    static constexpr bool activates = false;

    static constexpr LayerFault check(const LayerSpec&, Extent in) {
        return in.height == 1 ? LayerFault::none : LayerFault::not_a_line;
    }
    static constexpr Extent out(const LayerSpec& spec, Extent in) {
        return {1, spec.every_step ? in.width : 1, directions(spec) * spec.outputs};
    }
    static constexpr std::size_t parameters(const LayerSpec& spec, Extent in) {
        return static_cast<std::size_t>(directions(spec)) * one_way(spec, in);
    }
    /// All steps of both directions.
    static constexpr int extra_rows(const LayerSpec& spec, Extent in) {
        return directions(spec) * in.width * Cell::rows * spec.outputs;
    }

    template <class S>
    static void forward(const LayerRun<S>& run, const S* w, Seen<S> x, Columns<S> y) {
        each_direction(run, [&](int way) {
            const Walk<S> walk(run, way);
            const S* const mine = w + way * static_cast<std::ptrdiff_t>(one_way(run.spec, run.in));
            for (int step = 0; step < run.in.width; ++step) {
                walk.gates(mine, x, y, step);
                walk.cell().forward(walk.rows(y, step), walk.before(y, step), walk.units, run.columns);
            }
            walk.each_output([&](int to, int step) {
                copy_rows(Seen<S>(walk.state(y, step)), below(y, to), walk.units, run.columns);
            });
        });
    }

    template <class S>
    static void backward(const LayerRun<S>& run, const S* w, Seen<S> x, Seen<S> y, Columns<S> d, Columns<S> e,
                         S* gradient) {
        each_direction(run, [&](int way) {
            const Walk<S> walk(run, way);
            const std::ptrdiff_t mine = way * static_cast<std::ptrdiff_t>(one_way(run.spec, run.in));
            walk.begin_backward(d);
            walk.turn(w + mine, run.scratch);
            Sums<S> sums(walk, gradient + mine, true);
            for (int step = run.in.width - 1; step >= 0; --step) {
                walk.add_output(d, step);
                walk.cell().backward(walk.rows(y, step), walk.before(y, step), walk.rows(d, step),
                                     walk.before(d, step), walk.units, run.columns);
                sums.add(walk.input(x, step), step > 0 ? walk.state(y, step - 1) : Seen<S>{}, walk.rows(d, step));
                walk.back(run.scratch, d, step, d, e);
            }
        });
    }

    template <class S>
    static void tangent_forward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S> y,
                                Columns<S> ry) {
        each_direction(run, [&](int way) {
            const Walk<S> walk(run, way);
            const std::ptrdiff_t first = way * static_cast<std::ptrdiff_t>(one_way(run.spec, run.in));
            const S *const mine = w + first, *const moved = v + first;
            for (int step = 0; step < run.in.width; ++step) {
                const Columns<S> at = walk.rows(ry, step);
                run.kernels.affine(moved, walk.input_bias(moved), walk.input(x, step), at, run.in.channels,
                                   Cell::inputs * walk.units, run.columns, Activation::identity);
                if (rx.data != nullptr) {
                    run.kernels.accumulate(mine, walk.input(rx, step), at, run.in.channels,
                                           Cell::inputs * walk.units, run.columns);
                }
                fill_rows(walk.state_bias(moved), below(at, own_at * walk.units), Cell::own_bias * walk.units,
                          run.columns);
                if (step > 0) {
                    walk.accumulate(moved, walk.state(y, step - 1), at);
                    walk.accumulate(mine, walk.state(Seen<S>(ry), step - 1), at);
                }
                walk.cell().tangent_forward(walk.rows(y, step), walk.before(y, step), at,
                                            walk.before(Seen<S>(ry), step), walk.units, run.columns);
            }
            walk.each_output([&](int to, int step) {
                copy_rows(Seen<S>(walk.state(ry, step)), below(ry, to), walk.units, run.columns);
            });
        });
    }

    template <class S>
    static void tangent_backward(const LayerRun<S>& run, const S* w, const S* v, Seen<S> x, Seen<S> rx, Seen<S> y,
                                 Seen<S> ry, Columns<S> d, Columns<S> rd, Columns<S> e, Columns<S> re, S* product) {
        each_direction(run, [&](int way) {
            const Walk<S> walk(run, way);
            const std::ptrdiff_t mine = way * static_cast<std::ptrdiff_t>(one_way(run.spec, run.in));
            walk.begin_backward(d);
            walk.begin_backward(rd);
            S* const moved = run.scratch + one_way(run.spec, run.in);
            walk.turn(w + mine, run.scratch);
            walk.turn(v + mine, moved);
            Sums<S> sums(walk, product + mine, true), others(walk, product + mine, false);
            for (int step = run.in.width - 1; step >= 0; --step) {
                walk.add_output(d, step);
                walk.add_output(rd, step);
                walk.cell().tangent_backward(walk.rows(y, step), walk.before(y, step), walk.rows(ry, step),
                                             walk.before(ry, step), walk.rows(d, step), walk.before(d, step),
                                             walk.rows(rd, step), walk.before(rd, step), walk.units, run.columns);
                const Seen<S> none;
                sums.add(walk.input(x, step), step > 0 ? walk.state(y, step - 1) : none, walk.rows(rd, step));
                others.add(rx.data != nullptr ? walk.input(rx, step) : none,
                           step > 0 ? walk.state(ry, step - 1) : none, walk.rows(d, step));
                walk.back(run.scratch, d, step, d, e);
                walk.back(run.scratch, rd, step, rd, re);
                walk.back(moved, d, step, rd, re);
            }
        });
    }

private:
    static constexpr int own_at = Cell::states_at + Cell::states - Cell::own_bias;  ///< in units of H

    static constexpr int directions(const LayerSpec& spec) { return spec.both_ways ? 2 : 1; }
    static constexpr std::size_t one_way(const LayerSpec& spec, Extent in) {
        const auto h = static_cast<std::size_t>(spec.outputs), c = static_cast<std::size_t>(in.channels);
        return (c + 1) * Cell::inputs * h + h * Cell::states * h + Cell::own_bias * h;
    }
    template <class S, class F>
    static void each_direction(const LayerRun<S>& run, const F& f) {
        for (int way = 0; way < directions(run.spec); ++way) f(way);
    }

    /// One direction: where its rows are, step by step in the order in which it goes.
    template <class S>
    struct Walk {
        const LayerRun<S>& run;
        int way, units;

        Walk(const LayerRun<S>& of, int direction) : run(of), way(direction), units(of.spec.outputs) {}

        int time(int step) const { return way == 0 ? step : run.in.width - 1 - step; }
        template <class T>
        Columns<T> rows(Columns<T> matrix, int step) const {
            return below(matrix, run.out.size() + (way * run.in.width + step) * Cell::rows * units);
        }
        template <class T>
        Seen<S> state(Columns<T> matrix, int step) const {
            return below(rows(matrix, step), (Cell::rows - 1) * units);
        }
        Columns<S> open_state(Columns<S> matrix, int step) const {
            return below(rows(matrix, step), (Cell::rows - 1) * units);
        }
        template <class T>
        Columns<T> input(Columns<T> x, int step) const {
            return below(x, time(step) * run.in.channels);
        }

        const S* input_bias(const S* w) const { return w + std::ptrdiff_t{run.in.channels} * Cell::inputs * units; }
        S* input_bias(S* w) const { return w + std::ptrdiff_t{run.in.channels} * Cell::inputs * units; }
        const S* state_weights(const S* w) const { return input_bias(w) + Cell::inputs * units; }
        S* state_weights(S* w) const { return input_bias(w) + Cell::inputs * units; }
        const S* state_bias(const S* w) const {
            return state_weights(w) + std::ptrdiff_t{units} * Cell::states * units;
        }
        S* state_bias(S* w) const { return state_weights(w) + std::ptrdiff_t{units} * Cell::states * units; }

        void accumulate(const S* w, Seen<S> h, Columns<S> at) const {
            run.kernels.accumulate(state_weights(w), h, below(at, Cell::states_at * units), units,
                                   Cell::states * units, run.columns);
        }

        const CellKernels<S>& cell() const { return Cell::kernels(run.more); }
        /// Of the step before; null at the first.
        template <class T>
        Columns<T> before(Columns<T> matrix, int step) const {
            return step > 0 ? rows(matrix, step - 1) : Columns<T>{};
        }

        /// All products of a step, into its rows.
        void gates(const S* w, Seen<S> x, Columns<S> y, int step) const {
            const int inputs = Cell::inputs * units, states = Cell::states * units;
            for (const GateBlock& block : Cell::blocks) {
                ProductPart<S> parts[2];
                int count = 0;
                const S* b = nullptr;
                if (block.input >= 0) {
                    parts[count++] = {w + block.input * units, inputs, input(x, step), run.in.channels};
                    b = input_bias(w) + block.input * units;
                }
                if (block.state >= 0 && step > 0)
                    parts[count++] = {state_weights(w) + block.state * units, states, state(y, step - 1), units};
                if (block.own_bias) b = state_bias(w);
                run.more.affine_parts(parts, count, b, below(rows(y, step), block.row * units), block.count * units,
                                      run.columns, block.activation);
            }
        }

        /// Calls f(first row of the output, step) where a state comes out.
        template <class F>
        void each_output(const F& f) const {
            if (!run.spec.every_step) return f(way * units, run.in.width - 1);
            for (int step = 0; step < run.in.width; ++step) f(time(step) * run.out.channels + way * units, step);
        }

        /// Nothing has come from later steps yet.
        void begin_backward(Columns<S> d) const {
            for (int step = 0; step < run.in.width; ++step)
                clear_rows(below(rows(d, step), Cell::kept_at * units), (Cell::rows - Cell::kept_at) * units,
                           run.columns);
        }
        void add_output(Columns<S> d, int step) const {
            each_output([&](int to, int at) {
                if (at == step) add_rows(Seen<S>(below(d, to)), open_state(d, step), units, run.columns);
            });
        }

        /// W and U, turned, for `back`.
        void turn(const S* w, S* turned) const {
            dunlin::turn(w, run.in.channels, Cell::inputs * units, turned);
            dunlin::turn(state_weights(w), units, Cell::states * units,
                         turned + std::ptrdiff_t{run.in.channels} * Cell::inputs * units);
        }

        /// Adds W d of a step of `from` to what its input is given, where e is not null, and U d to the state before in `to`.
        void back(const S* turned, Columns<S> from, int step, Columns<S> to, Columns<S> e) const {
            const int inputs = Cell::inputs * units, states = Cell::states * units;
            const Seen<S> d = rows(from, step);
            if (step > 0) {
                run.kernels.accumulate(turned + std::ptrdiff_t{run.in.channels} * inputs,
                                       below(d, Cell::states_at * units), open_state(to, step - 1), states, units,
                                       run.columns);
            }
            if (e.data != nullptr)
                run.kernels.accumulate(turned, d, input(e, step), inputs, run.in.channels, run.columns);
        }
    };

    /// A direction's derivatives by its parameters, from those of its steps.
    template <class S>
    class Sums {
    public:
        Sums(const Walk<S>& walk, S* gradient, bool biases)
            : walk_(walk),
              own_bias_(biases ? walk.state_bias(gradient) : nullptr),
              inputs_(walk.run, gradient, biases ? walk.input_bias(gradient) : nullptr, walk.run.in.channels,
                      Cell::inputs * walk.units),
              states_(walk.run, walk.state_weights(gradient), nullptr, walk.units, Cell::states * walk.units) {}

        /// Null where there is no x or no state before.
        void add(Seen<S> x, Seen<S> h, Seen<S> d) {
            if (x.data != nullptr) inputs_.add(x, d);
            if (h.data != nullptr) states_.add(h, below(d, Cell::states_at * walk_.units));
            if (own_bias_ != nullptr)
                add_row_sums(walk_.run, below(d, own_at * walk_.units), own_bias_, Cell::own_bias * walk_.units);
        }

    private:
        const Walk<S>& walk_;
        S* own_bias_;
        GradientSum<S> inputs_, states_;
    };
};

}  // namespace dunlin
