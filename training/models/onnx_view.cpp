// SPDX-License-Identifier: Apache-2.0
#include "training/models/onnx_view.hpp"

#include <algorithm>

namespace dunlin::onnx {

std::int64_t View::size_of(const Axis& axis) {
    std::int64_t size = 1;
    for (const Run& run : axis) size *= run.size;
    return size;
}

std::int64_t View::size() const {
    std::int64_t size = 1;
    for (const Axis& axis : axes) size *= size_of(axis);
    return size;
}

std::optional<std::size_t> View::axis(std::int64_t number) const {
    const auto count = static_cast<std::int64_t>(rank());
    if (number < 0) number += count;
    if (number < 0 || number >= count) return std::nullopt;
    return static_cast<std::size_t>(number);
}

View View::plain(int layer, const std::vector<std::int64_t>& sizes, std::size_t batch) {
    View view{layer, std::vector<Axis>(sizes.size()), batch};
    std::int64_t stride = 1;
    for (std::size_t k = sizes.size(); k-- > 0;) {
        if (k == batch) continue;
        view.axes[k] = {{sizes[k], stride}};
        stride *= sizes[k];
    }
    return view;
}

View View::of(int layer, Extent extent, const char* axes) {
    View view{layer, {}, 0};
    const std::int64_t c = extent.channels, w = extent.width;
    for (; *axes != '\0'; ++axes) {
        switch (*axes) {
            case 'h':
                view.axes.push_back({{extent.height, w * c}});
                break;
            case 'w':
                view.axes.push_back({{w, c}});
                break;
            case 'c':
                view.axes.push_back({{c, 1}});
                break;
            default:
                view.batch = view.axes.size();
                view.axes.emplace_back();
        }
    }
    return view;
}

std::optional<View> View::reshaped(const std::vector<std::int64_t>& sizes, std::int64_t any) const {
    View out{layer, {}, batch};
    if (sizes.size() <= batch) return std::nullopt;
    for (std::size_t k = 0; k < batch; ++k) {
        if (sizes[k] != 0 && sizes[k] != size(k)) return std::nullopt;
        out.axes.push_back(axes[k]);
    }
    out.axes.emplace_back();
    std::vector<Run> left;
    std::int64_t inside = 1, named = 1;
    for (std::size_t k = batch + 1; k < rank(); ++k) {
        for (const Run& run : axes[k]) left.push_back(run);
        inside *= size(k);
    }
    std::vector<std::int64_t> wanted;
    std::size_t open = 0;
    for (std::size_t k = batch + 1; k < sizes.size(); ++k) {
        std::int64_t one = sizes[k];
        if (one == 0) one = k < rank() ? size(k) : -2;
        if (one < -1 || (one > 0 && named > inside / one)) return std::nullopt;
        open += one == -1 ? 1 : 0;
        if (one > 0) named *= one;
        wanted.push_back(one);
    }
    // The batch is what is left, or is said by its name or as it is; a number stands for it where nothing else is open.
    const std::int64_t of_batch = sizes[batch];
    if (open > 1 || (of_batch == -1 && open > 0) || (of_batch != any && of_batch < -1)) return std::nullopt;
    if (open == 0 && named != inside) return std::nullopt;
    for (std::int64_t& one : wanted) {
        if (one == -1) one = inside / named;
    }
    std::reverse(left.begin(), left.end());
    for (std::int64_t one : wanted) {
        Axis axis;
        while (one > 1) {
            while (!left.empty() && left.back().size == 1) left.pop_back();
            if (left.empty()) return std::nullopt;
            Run& run = left.back();
            if (one % run.size == 0) {
                axis.push_back(run);
                one /= run.size;
                left.pop_back();
            } else if (run.size % one == 0) {
                axis.push_back({one, run.stride * (run.size / one)});
                run.size /= one;
                one = 1;
            } else {
                return std::nullopt;
            }
        }
        out.axes.push_back(simple(axis));
    }
    for (const Run& run : left) {
        if (run.size != 1) return std::nullopt;
    }
    return out;
}

Axis View::simple(const Axis& axis) {
    Axis out;
    for (const Run& run : axis) {
        if (run.size == 1) continue;
        if (!out.empty() && out.back().stride == run.size * run.stride)
            out.back() = {out.back().size * run.size, run.stride};
        else
            out.push_back(run);
    }
    return out;
}

std::vector<std::int32_t> View::order() const {
    std::vector<std::int32_t> places{0};
    for (const Axis& axis : axes) {
        for (const Run& run : axis) {
            std::vector<std::int32_t> next;
            next.reserve(places.size() * static_cast<std::size_t>(run.size));
            for (const std::int32_t place : places) {
                for (std::int64_t k = 0; k < run.size; ++k)
                    next.push_back(place + static_cast<std::int32_t>(k * run.stride));
            }
            places = std::move(next);
        }
    }
    return places;
}

}  // namespace dunlin::onnx
