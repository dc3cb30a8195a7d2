// SPDX-License-Identifier: Apache-2.0
#include "books.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

namespace dunlin::chaos {

void Books::take(const std::string& line) {
    std::istringstream in(line);
    char kind = 0;
    std::uint64_t job = 0;
    in >> kind;
    switch (kind) {
        case 'O': {
            std::uint64_t index = 0;
            in >> index;
            if (index < newest_)
                fault(fmt::format("the store begins at record {} after {} was there [invariants 4, 7]", index,
                                  newest_));
            break;
        }
        case 'X': {
            std::uint64_t index = 0;
            std::string hash;
            in >> index >> hash;
            const auto [known, fresh] = states_.emplace(index, hash);
            replayed_ += !fresh;
            if (known->second != hash)
                fault(fmt::format("after record {} the state is {}, and was {} [invariant 8]", index, hash,
                                  known->second));
            newest_ = std::max(newest_, index);
            break;
        }
        case 'U': {
            std::uint64_t index = 0;
            Update update{};
            in >> index >> update[0] >> update[1] >> update[2] >> update[3];
            if (const auto [known, fresh] = records_.emplace(index, update); !fresh && known->second != update)
                fault(fmt::format("record {} is another update than it was [invariant 8]", index));
            if (const auto [known, fresh] = updates_.emplace(update, index); !fresh && known->second != index)
                fault(fmt::format("update {} of member {}, life {}, is records {} and {} [invariant 7]", update[3],
                                  update[1], update[2], known->second, index));
            break;
        }
        case 'A': {
            Update update{};
            in >> update[0] >> update[1] >> update[2] >> update[3];
            acknowledged_.insert(update);
            break;
        }
        case 'L': {
            std::uint64_t epoch = 0;
            std::int64_t weight = 0, odd = 0, gone = 0;
            in >> job >> epoch >> weight >> odd >> gone;
            ledger_[job << 32 | epoch] = line;
            if (weight != 0 || odd != 0 || gone != 0)
                fault(
                    fmt::format("job {}, epoch {}: weight {} and {} values were lost or made, {} members gone "
                                "[invariants 1, 4]",
                                job, epoch, weight, odd, gone));
            break;
        }
        case 'R': {
            std::uint32_t member = 0;
            double distance = 0;
            int last = 0;
            in >> job >> member >> distance >> last;
            distances_[job][member] = distance;
            if (last != 0) finals_[job].insert(member);
            break;
        }
        case 'C':
            in >> job;
            created_.insert(job);
            break;
        case 'J':
            in >> job;
            in >> ended_[job];
            break;
        case 'M': {
            in >> job;
            std::vector<float>& model = models_[job];
            model.clear();
            for (std::string word; in >> word;) model.push_back(std::stof(word));
            break;
        }
        default:
            fault("what is this: " + line);
    }
}

void Books::close() {
    for (const Update& update : acknowledged_) {
        if (!updates_.contains(update))
            fault(fmt::format("update {} of member {}, life {}, was acknowledged and is in no model [invariant 7]",
                              update[3], update[1], update[2]));
    }
}

}  // namespace dunlin::chaos
