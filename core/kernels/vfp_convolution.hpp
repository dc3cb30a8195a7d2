// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels/vfp_elements.hpp"
#include "core/network/layer.hpp"

#ifdef DUNLIN_VFP
#include "core/kernels/vfp.hpp"

/// Convolutions without padding of one sample, and means over all places, for a Cortex-M with an FPU and a layer whose sizes
/// are constants: sums stay in registers while a window, or all places of a weight, go by. Each has the terms and the order of
/// the reference (core/network/convolution.hpp), and so its bits. A tap is a place of the window, a line one of its rows.
// clang-format off: a line of assembly is a line
namespace dunlin::vfp {

/// The sizes, in numbers: an output place begins `step` behind the one before on the input, `down` below it.
template <class At>
struct WindowSizes {
    static constexpr LayerSpec spec = At::spec;
    static constexpr Extent in = At::in, out = At::out;
    static constexpr int lines = spec.kernel_height, taps = spec.kernel_width, channels = in.channels;
    static constexpr int step = spec.stride_width * channels, down = spec.stride_height * in.width * channels;
    static constexpr int weights = lines * taps * channels * out.channels / spec.groups;
};

#define DUNLIN_RELU(a) "vcmp.f32 " #a ", #0\n\tvmrs APSR_nzcv, fpscr\n\tit mi\n\tvmovmi.f32 " #a ", s18\n\t"
#define DUNLIN_RELU_LOW \
    DUNLIN_RELU(s0)     \
    DUNLIN_RELU(s1) DUNLIN_RELU(s2) DUNLIN_RELU(s3) DUNLIN_RELU(s4) DUNLIN_RELU(s5) DUNLIN_RELU(s6) DUNLIN_RELU(s7)
#define DUNLIN_RELU_HIGH \
    DUNLIN_RELU(s8)      \
    DUNLIN_RELU(s9)      \
    DUNLIN_RELU(s10) DUNLIN_RELU(s11) DUNLIN_RELU(s12) DUNLIN_RELU(s13) DUNLIN_RELU(s14) DUNLIN_RELU(s15)
#define DUNLIN_PAIRS(a, b, c, d, s, t, u, v, w, x, y, z)              \
    "vfma.f32 " #a ", " #s ", " #w "\n\tvfma.f32 " #b ", " #t ", " #x \
    "\n\t"                                                            \
    "vfma.f32 " #c ", " #u ", " #y "\n\tvfma.f32 " #d ", " #v ", " #z "\n\t"
/// Registers 0 to 7, and 8 to 15, += registers 16 to 23 times 24 to 31
#define DUNLIN_PAIRS_LOW                                                 \
    DUNLIN_PAIRS(s0, s1, s2, s3, s16, s17, s18, s19, s24, s25, s26, s27) \
    DUNLIN_PAIRS(s4, s5, s6, s7, s20, s21, s22, s23, s28, s29, s30, s31)
#define DUNLIN_PAIRS_HIGH                                                  \
    DUNLIN_PAIRS(s8, s9, s10, s11, s16, s17, s18, s19, s24, s25, s26, s27) \
    DUNLIN_PAIRS(s12, s13, s14, s15, s20, s21, s22, s23, s28, s29, s30, s31)
#define DUNLIN_REGISTERS DUNLIN_ALL_SINGLES, "s18", "s19", "s20", "s21", "s22", "s23"

/// The sums of one place of 8 or 16 outputs, or of two places of 8, `apart` bytes from each other on the input: start + W' x over
/// `lines` of `numbers` each, a line of the input beginning `skip` bytes behind the end of the one before. W has no gaps.
template <int outputs, int places, bool clips, int numbers, int apart>
[[gnu::always_inline]] inline void window(const float* w, const float* x, std::ptrdiff_t skip, int lines,
                                          const float* start, float* y) {
    [[maybe_unused]] const float* other = x + apart / 4;
#define DUNLIN_LINES(load, times, taps, next, finish, store)                                              \
    asm volatile(load "1:\n\t.rept %c[repeats]\n\t" taps ".endr\n\t" next                                 \
                      "add %[x], %[skip]\n\tsubs %[lines], #1\n\tbne 1b\n\t"                              \
                      ".if %c[clips]\n\tvmov s18, %[zero]\n\t" finish ".endif\n\t" store                  \
                 : [w] "+r"(w), [x] "+r"(x), [other] "+r"(other), [lines] "+r"(lines)                     \
                 : [start] "r"(start), [y] "r"(y), [skip] "r"(skip), [zero] "r"(0), [repeats] "i"(times), \
                   [apart] "i"(apart - 4), [clips] "i"(clips ? 1 : 0)                                     \
                 : DUNLIN_REGISTERS)
#define DUNLIN_TAP_16(x) \
    "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_LOW(x) "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_HIGH(x)
#define DUNLIN_TAP_8(x) "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_LOW(x)
#define DUNLIN_TAP_TWICE(x, y) "vldmia %[w]!, {s24-s31}\n\t" DUNLIN_FMA_LOW(x) DUNLIN_FMA_HIGH(y)
#define DUNLIN_BOTH(taps, times, next)                                                         \
    DUNLIN_LINES("vldmia %[start], {s0-s7}\n\tvldmia %[start], {s8-s15}\n", times, taps, next, \
                 DUNLIN_RELU_LOW DUNLIN_RELU_HIGH, "vstmia %[y], {s0-s15}")
#define DUNLIN_WIDE(taps, times)                                                                   \
    DUNLIN_LINES("vldmia %[start], {s0-s15}\n", times, taps, "", DUNLIN_RELU_LOW DUNLIN_RELU_HIGH, \
                 "vstmia %[y], {s0-s15}")
    if constexpr (places == 2 && numbers == 3 && apart == 8) {
        DUNLIN_BOTH("vldmia %[x], {s16-s20}\n\tadd %[x], #12\n\t" DUNLIN_TAP_TWICE(s16, s18)
                        DUNLIN_TAP_TWICE(s17, s19) DUNLIN_TAP_TWICE(s18, s20),
                    1, "");
    } else if constexpr (places == 2 && numbers % 4 == 0) {
        DUNLIN_BOTH("vldmia %[x]!, {s16-s19}\n\tvldmia %[other]!, {s20-s23}\n\t" DUNLIN_TAP_TWICE(s16, s20)
                        DUNLIN_TAP_TWICE(s17, s21) DUNLIN_TAP_TWICE(s18, s22) DUNLIN_TAP_TWICE(s19, s23),
                    numbers / 4, "add %[other], %[skip]\n\t");
    } else if constexpr (places == 2) {
        DUNLIN_BOTH("vldmia %[x]!, {s16}\n\tvldr s17, [%[x], %[apart]]\n\t" DUNLIN_TAP_TWICE(s16, s17), numbers,
                    "");
    } else if constexpr (outputs == 16 && numbers % 8 == 0) {
        DUNLIN_WIDE("vldmia %[x]!, {s16-s23}\n\t" DUNLIN_TAP_16(s16) DUNLIN_TAP_16(s17) DUNLIN_TAP_16(s18)
                        DUNLIN_TAP_16(s19) DUNLIN_TAP_16(s20) DUNLIN_TAP_16(s21) DUNLIN_TAP_16(s22)
                            DUNLIN_TAP_16(s23),
                    numbers / 8);
    } else if constexpr (outputs == 16) {
        DUNLIN_WIDE("vldmia %[x]!, {s16}\n\t" DUNLIN_TAP_16(s16), numbers);
    } else {
        DUNLIN_LINES("vldmia %[start], {s0-s7}\n", numbers, "vldmia %[x]!, {s16}\n\t" DUNLIN_TAP_8(s16), "",
                     DUNLIN_RELU_LOW, "vstmia %[y], {s0-s7}");
    }
#undef DUNLIN_LINES
#undef DUNLIN_BOTH
#undef DUNLIN_WIDE
}

/// All places of y = start + W' x for windows of `lines` of `numbers`, of 8 or 16 outputs.
template <int outputs, bool clips, int numbers, int lines, int step, int down, int line, int height, int width>
inline void windows(const float* w, const float* x, const float* start, float* y) {
    constexpr std::ptrdiff_t skip = 4 * (line - numbers);
    for (int oy = 0; oy < height; ++oy, x += down) {
        const float* at = x;
        int ox = 0;
        if constexpr (outputs == 8) {
            for (; ox + 2 <= width; ox += 2, at += 2 * step, y += 16)
                window<8, 2, clips, numbers, 4 * step>(w, at, skip, lines, start, y);
        }
        for (; ox < width; ++ox, at += step, y += outputs)
            window<outputs, 1, clips, numbers, 4>(w, at, skip, lines, start, y);
    }
}

/// sums += the rows of d, 8 numbers each, `gap` bytes between one and the next
template <int gap>
inline void add_rows_of_8(const float* d, int count, float* sums) {
    asm volatile(
        "vldmia %[sums], {s0-s7}\n"
        "1:\tvldmia %[d]!, {s8-s15}\n\t"
        "vadd.f32 s0, s0, s8\n\tvadd.f32 s1, s1, s9\n\tvadd.f32 s2, s2, s10\n\tvadd.f32 s3, s3, s11\n\t"
        "vadd.f32 s4, s4, s12\n\tvadd.f32 s5, s5, s13\n\tvadd.f32 s6, s6, s14\n\tvadd.f32 s7, s7, s15\n\t"
        ".if %c[gap]\n\tadd %[d], %[gap]\n\t.endif\n\tsubs %[count], #1\n\tbne 1b\n\tvstmia %[sums], {s0-s7}"
        : [d] "+r"(d), [count] "+r"(count)
        : [sums] "r"(sums), [gap] "i"(gap)
        : DUNLIN_ALL_SINGLES);
}

/// One or two rows of eight weights' gradients, += x_a d' and x_b d' over all places, where x_b is `apart` numbers behind x_a:
/// the next place is `step` numbers further on, and `gap` bytes lead from eight numbers of d to those of the next place. `skip`
/// bytes lead from the end of a line of places to the next.
template <int width, int rows, int apart, int step, int gap>
[[gnu::always_inline]] inline void weight_tile(const float* a, std::ptrdiff_t skip, const float* d, int lines,
                                               float* sums_a, float* sums_b) {
#define DUNLIN_PLACES(load, read, add, store)                                                                \
    asm volatile(load "1:\n\t.rept %c[width]\n\tvldmia %[d]!, {s24-s31}\n\t" read                            \
                      ".if %c[gap]\n\tadd %[d], %[gap]\n\t.endif\n\t" add                                    \
                      ".endr\n\t"                                                                            \
                      "add %[a], %[skip]\n\tsubs %[lines], #1\n\tbne 1b\n\t" store                           \
                 : [a] "+r"(a), [d] "+r"(d), [lines] "+r"(lines)                                             \
                 : [sa] "r"(sums_a), [sb] "r"(sums_b), [skip] "r"(skip), [gap] "i"(gap), [width] "i"(width), \
                   [step] "i"(4 * step), [rest] "i"(4 * step - 8), [apart] "i"(4 * apart)                    \
                 : DUNLIN_ALL_SINGLES)
#define DUNLIN_TWO(read)                                                     \
    DUNLIN_PLACES("vldmia %[sa], {s0-s7}\n\tvldmia %[sb], {s8-s15}\n", read, \
                  DUNLIN_FMA_LOW(s16) DUNLIN_FMA_HIGH(s17), "vstmia %[sa], {s0-s7}\n\tvstmia %[sb], {s8-s15}")
    if constexpr (rows == 1) {
        DUNLIN_PLACES("vldmia %[sa], {s0-s7}\n", "vldr s16, [%[a]]\n\tadd %[a], %[step]\n\t", DUNLIN_FMA_LOW(s16),
                      "vstmia %[sa], {s0-s7}");
    } else if constexpr (apart == 1 && step >= 2) {
        DUNLIN_TWO("vldmia %[a]!, {s16-s17}\n\t.if %c[rest]\n\tadd %[a], %[rest]\n\t.endif\n\t");
    } else {
        DUNLIN_TWO("vldr s16, [%[a]]\n\tvldr s17, [%[a], %[apart]]\n\tadd %[a], %[step]\n\t");
    }
#undef DUNLIN_PLACES
#undef DUNLIN_TWO
}

/// A convolution without padding: of all channels, with 8 or 16 outputs; or depthwise, of 8 channels.
template <class At>
struct Convolution {
    using Sizes = WindowSizes<At>;
    static constexpr LayerSpec spec = Sizes::spec;
    static constexpr Extent in = Sizes::in, out = Sizes::out;
    static constexpr int lines = Sizes::lines, taps = Sizes::taps, numbers = taps * Sizes::channels;
    static constexpr int places = out.places(), window_numbers = lines * numbers;
    static constexpr bool depthwise = spec.groups > 1;
    static constexpr bool single = lines == 1 && taps == 1 && spec.stride_height == 1 && spec.stride_width == 1;

    static constexpr bool fits() {
        if (spec.pad_height != 0 || spec.pad_width != 0 || out.width > 32) return false;
        if (spec.activation != Activation::relu && spec.activation != Activation::identity) return false;
        if (depthwise)
            return spec.groups == in.channels && in.channels == 8 && out.channels == 8 && lines * taps <= 25;
        return (out.channels == 8 || out.channels == 16) && numbers <= 16 && 4 * in.width * in.channels <= 1000 &&
               4 * Sizes::step <= 1000;
    }
    /// Can what comes in be given its derivative?
    static constexpr bool fits_back() {
        return fits() && (depthwise || (single && in.channels == 8 && out.channels <= 16));
    }

    static void forward(const float* w, const float* x, float* y) {
        constexpr bool clips = spec.activation == Activation::relu;
        const float* const b = w + Sizes::weights;
        if constexpr (!depthwise) {
            windows<out.channels, clips, numbers, lines, Sizes::step, Sizes::down, in.width * in.channels,
                    out.height, out.width>(w, x, b, y);
        } else {
            float turned[8 * lines * taps];
            turn(w, turned);
            for (int oy = 0; oy < out.height; ++oy, x += Sizes::down) {
                const float* at = x;
                for (int ox = 0; ox < out.width; ++ox, at += Sizes::step, y += 8) {
                    const float *weights = turned, *from = at;
                    int rest = lines;
                    asm volatile(
                        "vldmia %[b], {s0-s7}\n"
                        "1:\n\t.rept %c[taps]\n\tvldmia %[w]!, {s16-s23}\n\tvldmia %[x]!, "
                        "{s24-s31}\n\t" DUNLIN_PAIRS_LOW
                        ".endr\n\t"
                        "add %[x], %[skip]\n\tsubs %[rest], #1\n\tbne 1b\n\tvstmia %[y], {s0-s7}"
                        : [w] "+r"(weights), [x] "+r"(from), [rest] "+r"(rest)
                        : [b] "r"(b), [y] "r"(y), [skip] "r"(4 * (in.width * 8 - numbers)), [taps] "i"(taps)
                        : DUNLIN_REGISTERS);
                }
            }
            if constexpr (clips) relu(y - out.size(), out.size());
        }
    }

    /// Adds to the gradient; d is by the output before the activation.
    static void weights(const float* x, const float* d, float* gradient) {
        constexpr std::ptrdiff_t skip = 4 * (Sizes::down - out.width * Sizes::step);
        if constexpr (!depthwise) {
            constexpr int of_line = in.width * in.channels;
            for (int o = 0; o < out.channels; o += 8) {
                const auto at = [&](int i) { return x + i / numbers * of_line + i % numbers; };
                const auto sums = [&](int i) { return gradient + i * out.channels + o; };
                constexpr int gap = 4 * (out.channels - 8), across = of_line - numbers + 1;
                int i = 0;
                for (; i + 2 <= window_numbers; i += 2) {
                    if (i % numbers + 1 < numbers) {
                        weight_tile<out.width, 2, 1, Sizes::step, gap>(at(i), skip, d + o, out.height, sums(i),
                                                                       sums(i + 1));
                    } else {
                        weight_tile<out.width, 2, across, Sizes::step, gap>(at(i), skip, d + o, out.height, sums(i),
                                                                            sums(i + 1));
                    }
                }
                if (i < window_numbers)
                    weight_tile<out.width, 1, 1, Sizes::step, gap>(at(i), skip, d + o, out.height, sums(i),
                                                                   sums(i));
            }
        } else {
            depthwise_weights(x, d, gradient);
        }
        for (int o = 0; o < out.channels; o += 8)
            add_rows_of_8<4 * (out.channels - 8)>(d + o, places, gradient + Sizes::weights + o);
    }

    /// e = W d, which nothing was added to before. `scratch` holds the weights.
    static void back(const float* w, const float* d, float* e, float* scratch) {
        if constexpr (!depthwise) {
            for (int i = 0; i < 8; ++i) {
                for (int o = 0; o < out.channels; ++o) scratch[o * 8 + i] = w[i * out.channels + o];
            }
            static constexpr float zeros[8] = {};
            windows<8, false, out.channels, 1, out.channels, out.width * out.channels, out.width * out.channels,
                    out.height, out.width>(scratch, d, zeros, e);
        } else {
            turn(w, scratch);
            clear(e, in.size());
            for (int oy = 0; oy < out.height; ++oy, e += Sizes::down) {
                float* at = e;
                for (int ox = 0; ox < out.width; ++ox, at += Sizes::step, d += 8) {
                    const float* weights = scratch;
                    float* to = at;
                    int rest = lines;
                    asm volatile("vldmia %[d], {s0-s7}\n"
                                 "1:\n\t.rept %c[taps]\n\tvldmia %[w]!, {s16-s23}\n\tvldmia %[e], {s24-s31}\n\t"
                                 DUNLIN_PAIRS(s24, s25, s26, s27, s16, s17, s18, s19, s0, s1, s2, s3)
                                 DUNLIN_PAIRS(s28, s29, s30, s31, s20, s21, s22, s23, s4, s5, s6, s7)
                                 "vstmia %[e]!, {s24-s31}\n\t.endr\n\t"
                                 "add %[e], %[skip]\n\tsubs %[rest], #1\n\tbne 1b"
                                 : [w] "+r"(weights), [e] "+r"(to), [rest] "+r"(rest)
                                 : [d] "r"(d), [skip] "r"(4 * (in.width * 8 - numbers)), [taps] "i"(taps)
                                 : DUNLIN_REGISTERS);
                }
            }
        }
    }

private:
    /// A depthwise layer's weights, tap by tap.
    static void turn(const float* w, float* turned) {
        for (int c = 0; c < 8; ++c) {
            for (int tap = 0; tap < lines * taps; ++tap) turned[tap * 8 + c] = *w++;
        }
    }

    static void depthwise_weights(const float* x, const float* d, float* gradient) {
        int tap = 0;
        for (; tap + 2 <= lines * taps; tap += 2) tap_sums<2>(x, d, gradient, tap);
        if constexpr (lines * taps % 2 == 1) tap_sums<1>(x, d, gradient, tap);
    }
    /// The sums of one tap, or of it and the next.
    template <int count>
    static void tap_sums(const float* x, const float* d, float* gradient, int tap) {
        constexpr std::ptrdiff_t skip = 4 * (Sizes::down - out.width * Sizes::step), next = 4 * (Sizes::step - 8);
        const auto at = [&](int t) { return x + (t / taps * in.width + t % taps) * 8; };
        float sums[8 * count];
        for (int k = 0; k < 8 * count; ++k) sums[k] = gradient[k % 8 * lines * taps + tap + k / 8];
        const float *a = at(tap), *b = at(tap + count - 1), *from = d;
        int rest = out.height;
#define DUNLIN_TAPS(registers, second, next_second)                                                               \
    asm volatile(                                                                                                 \
        "vldmia %[sums], {" registers                                                                             \
        "}\n"                                                                                                     \
        "1:\n\t.rept %c[width]\n\tvldmia %[d]!, {s16-s23}\n\tvldmia %[a]!, {s24-s31}\n\t" DUNLIN_PAIRS_LOW second \
        ".if %c[next]\n\tadd %[a], %[next]\n\t" next_second                                                       \
        ".endif\n\t.endr\n\t"                                                                                     \
        "add %[a], %[skip]\n\tadd %[b], %[skip]\n\tsubs %[rest], #1\n\tbne 1b\n\tvstmia %[sums], {" registers "}" \
        : [a] "+r"(a), [b] "+r"(b), [d] "+r"(from), [rest] "+r"(rest)                                             \
        : [sums] "r"(sums), [skip] "r"(skip), [width] "i"(out.width), [next] "i"(next)                            \
        : DUNLIN_REGISTERS)
        if constexpr (count == 2) {
            DUNLIN_TAPS("s0-s15", "vldmia %[b]!, {s24-s31}\n\t" DUNLIN_PAIRS_HIGH, "add %[b], %[next]\n\t");
        } else {
            DUNLIN_TAPS("s0-s7", "", "");
        }
#undef DUNLIN_TAPS
        for (int k = 0; k < 8 * count; ++k) gradient[k % 8 * lines * taps + tap + k / 8] = sums[k];
    }
};

/// The mean over all places, of a multiple of 8 channels.
template <class At>
struct GlobalMean {
    static constexpr Extent in = At::in;
    static constexpr bool fits() { return in.channels % 8 == 0; }

    static void forward(const float* x, float* y) {
        constexpr float share = 1.0f / static_cast<float>(in.places());
        clear(y, in.channels);
        for (int o = 0; o < in.channels; o += 8) {
            add_rows_of_8<4 * (in.channels - 8)>(x + o, in.places(), y + o);
            for (int k = 0; k < 8; ++k) y[o + k] *= share;
        }
    }
    /// e, which nothing was added to before
    static void back(const float* d, float* e) {
        constexpr float share = 1.0f / static_cast<float>(in.places());
        for (int o = 0; o < in.channels; o += 8) {
            float part[8];
            for (int k = 0; k < 8; ++k) part[k] = 0.0f + share * d[o + k];
            float* to = e + o;
            int count = in.places();
            asm volatile(
                "vldmia %[part], {s0-s7}\n"
                "1:\tvstmia %[to]!, {s0-s7}\n\tadd %[to], %[gap]\n\tsubs %[count], #1\n\tbne 1b"
                : [to] "+r"(to), [count] "+r"(count)
                : [part] "r"(part), [gap] "r"(4 * (in.channels - 8))
                : DUNLIN_ALL_SINGLES);
        }
    }
};

}  // namespace dunlin::vfp
// clang-format on
#endif
