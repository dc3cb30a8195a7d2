// SPDX-License-Identifier: Apache-2.0
// Members and coordinator of masked rounds as machines, with drop-outs at every step.
#include "core/random.hpp"
#include "core/robust/chacha20.hpp"
#include "fleet/masks/mask_member.hpp"
#include "fleet/masks/mask_round.hpp"
#include "fleet/masks/mask_stream.hpp"

#include <cmath>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// Secrets of a test repeat.
SecretSource seeded(std::uint64_t seed, std::uint32_t who) {
    return [random = std::make_shared<Stream>(seed, who, Purpose::lives)](std::span<std::byte> out) {
        for (std::byte& byte : out) byte = static_cast<std::byte>(random->bits64());
    };
}

struct Scene {
    MaskRoundSettings settings;
    std::vector<std::uint32_t> numbers;
    std::map<std::uint32_t, std::unique_ptr<MaskMember>> members;
    std::map<std::uint32_t, std::vector<float>> values;
    std::map<std::uint32_t, float> samples;
    std::unique_ptr<MaskRound> round;
    std::uint64_t seed;

    Scene(std::uint64_t with, std::size_t count, const MaskRoundSettings& like) : settings(like), seed(with) {
        Stream random(seed, 1, Purpose::samples);
        for (std::uint32_t number = random.below(3); numbers.size() < count; number += 1 + random.below(3)) {
            numbers.push_back(number);
            members[number] = std::make_unique<MaskMember>(seeded(seed, number));
            std::vector<float>& x = values[number];
            for (std::uint32_t k = 0; k < settings.dimension; ++k) x.push_back(3.0f * random.normal());
            samples[number] = static_cast<float>(1 + random.below(settings.terms.largest_weight));
        }
        round = std::make_unique<MaskRound>(settings, numbers, seeded(seed, 99'999));
    }

    UpdateMasks::Place place(std::uint32_t number) const { return {settings.nonce, number, settings.dimension}; }
    Update update(std::uint32_t number) const {
        Update made;
        made.node = number;
        made.incarnation = 1;
        made.sequence = 7;
        made.base_version = settings.version;
        made.samples = samples.at(number);
        made.values = values.at(number);
        return made;
    }
    /// What this member is told next reaches it, and its answer the coordinator.
    Result<void> exchange(std::uint32_t number) {
        MaskMember& member = *members.at(number);
        if (const auto word = round->word_for(number)) {
            if (auto taken = member.take(place(number), *word); !taken) return taken;
        }
        if (const MaskExchange* answer = member.answer()) {
            auto taken = round->take(number, *answer);
            member.answered();
            return taken;
        }
        return {};
    }
    Result<void> deliver(std::uint32_t number) {
        MaskMember& member = *members.at(number);
        if (!member.may_mask(update(number)) || !member.ready(update(number))) return {};
        return round->take(number, 1, 7, member.masked(update(number)));
    }
    /// The sum of the same integers without masks.
    MaskedSum plain(std::span<const MaskedSum::Part> parts) const {
        const RingValues ring{settings.terms.ring_bits, settings.terms.value_bits, settings.terms.range,
                              settings.terms.largest_weight};
        MaskedSum sum;
        sum.values.resize(settings.dimension);
        for (const MaskedSum::Part& part : parts) {
            std::vector<std::uint64_t> integers(settings.dimension);
            ring.to_ring(values.at(part.member), static_cast<std::uint32_t>(samples.at(part.member)), integers);
            for (std::size_t k = 0; k < integers.size(); ++k)
                sum.values[k] += static_cast<std::int64_t>(integers[k]);
            sum.weight += static_cast<std::int64_t>(samples.at(part.member));
        }
        return sum;
    }
};

MaskRoundSettings settings_of(std::uint32_t dimension = 9) {
    MaskRoundSettings settings;
    settings.nonce = 0x1234;
    settings.attempt = 77;
    settings.version = 5;
    settings.dimension = dimension;
    return settings;
}

using Stage = MaskRound::Stage;

/// All go on in step to this stage.
void reach(Scene& scene, Stage stage) {
    while (scene.round->stage() != stage) {
        for (const std::uint32_t number : scene.numbers) {
            REQUIRE(scene.exchange(number));
            REQUIRE(scene.deliver(number));
        }
        REQUIRE(scene.round->complete());
        scene.round->next();
    }
}

}  // namespace

TEST_CASE("the opened sum is the sum without masks to the bit, whoever drops out when [invariant 12]") {
    std::size_t opened = 0, refused = 0, left_out = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        INFO("seed " << seed);
        Stream random(seed, 0, Purpose::lives);
        MaskRoundSettings settings = settings_of(1 + random.below(20));
        settings.group = 10 + random.below(9);
        settings.attempt = random.bits64() | 1;
        settings.terms.value_bits = 8 + random.below(14);
        settings.terms.largest_weight = 1 + random.below(5);
        const RingValues values{32, settings.terms.value_bits, settings.terms.range, settings.terms.largest_weight};
        settings.terms.ring_bits = random.below(4) == 0 ? 64 : values.ring_for(settings.group);
        // Most are small, or keys would take minutes.
        Scene scene(seed, seed % 20 == 0 ? 12 + random.below(20) : 3 + random.below(8), settings);
        const double lost = random.below(3) == 0 ? 0.0 : 0.12 * random.uniform();
        std::set<std::uint32_t> gone, delivered;
        while (scene.round->stage() != Stage::over) {
            const Stage stage = scene.round->stage();
            std::vector<std::uint32_t> order = scene.numbers;
            for (std::size_t left = order.size(); left > 1; --left)
                std::swap(order[random.below(static_cast<std::uint32_t>(left))], order[left - 1]);
            for (const std::uint32_t number : order) {
                if (random.uniform() < lost) gone.insert(number);
                if (gone.contains(number)) {
                    // Whoever comes back has forgotten all, and is told what it cannot answer.
                    if (random.below(3) == 0) {
                        scene.members[number] = std::make_unique<MaskMember>(seeded(seed + 5000, number));
                        if (stage != Stage::keys) {
                            (void)scene.exchange(number);
                            gone.erase(number);
                        }
                    }
                    continue;
                }
                // Said twice, or answered twice, it changes nothing.
                for (int times = random.below(5) == 0 ? 2 : 1; times > 0; --times) {
                    (void)scene.exchange(number);
                    if (stage == Stage::updates && random.uniform() >= lost) {
                        REQUIRE(scene.deliver(number));
                        if (scene.round->includes(number) && !scene.round->word_for(number))
                            delivered.insert(number);
                    }
                }
            }
            scene.round->next();
        }
        const auto& sum = scene.round->sum();
        sum ? ++opened : ++refused;
        if (!sum) {
            CHECK(scene.round->trouble() != "");
            continue;
        }
        CHECK(sum->members.size() >= least_summed);
        std::vector<std::uint32_t> whose;
        for (const MaskedSum::Part& part : sum->members) whose.push_back(part.member);
        CHECK(std::ranges::includes(delivered, whose));
        left_out += scene.numbers.size() - whose.size();
        const MaskedSum expected = scene.plain(sum->members);
        CHECK(sum->values == expected.values);
        CHECK(sum->weight == expected.weight);
    }
    // Otherwise nothing was tried.
    CHECK(opened > 500);
    CHECK(refused > 50);
    CHECK(left_out > 300);
}

TEST_CASE("below the threshold nothing is asked for and nothing is opened [invariant 12]") {
    MaskRoundSettings settings = settings_of();
    Scene scene(3, 12, settings);
    reach(scene, Stage::updates);
    const std::size_t least = least_going_on(12);
    CHECK(least == 9);
    for (std::size_t k = 0; k + 1 < least; ++k) {
        REQUIRE(scene.exchange(scene.numbers[k]));
        REQUIRE(scene.deliver(scene.numbers[k]));
    }
    CHECK_FALSE(scene.round->complete());
    scene.round->next();
    CHECK(scene.round->stage() == Stage::over);
    CHECK_FALSE(scene.round->sum());
    CHECK_THAT(scene.round->trouble(), Catch::Contains("sent updates 8, and it takes 9"));
    for (const std::uint32_t number : scene.numbers) CHECK_FALSE(scene.round->word_for(number));
}

TEST_CASE("fewer openers than the threshold open nothing") {
    Scene scene(4, 12, settings_of());
    reach(scene, Stage::opening);
    for (std::size_t k = 0; k + 1 < threshold_of(12); ++k) REQUIRE(scene.exchange(scene.numbers[k]));
    CHECK_FALSE(scene.round->complete());
    scene.round->next();
    CHECK_FALSE(scene.round->sum());
    CHECK_THAT(scene.round->trouble(), Catch::Contains("opened 8, and it takes 9"));
}

TEST_CASE("a member opens one list and never another: of each peer one share, not both") {
    Scene scene(5, 10, settings_of());
    reach(scene, Stage::opening);
    const std::uint32_t number = scene.numbers[2];
    MaskMember& member = *scene.members.at(number);
    const auto word = scene.round->word_for(number);
    REQUIRE(word);
    std::vector<std::uint32_t> fewer(word->members.begin(), word->members.end());
    fewer.erase(fewer.begin() + (fewer.front() == number ? 1 : 0));
    MaskExchange other = *word;
    other.members = fewer;
    SECTION("the second list is refused") {
        REQUIRE(member.take(scene.place(number), *word));
        const std::vector<std::byte> said(member.answer()->bytes.begin(), member.answer()->bytes.end());
        CHECK(member.take(scene.place(number), other).error().code == Code::bad_participants);
        REQUIRE(member.take(scene.place(number), *word));  // the same again is answered with the same
        CHECK(std::ranges::equal(member.answer()->bytes, said));
        CHECK(said.size() == 10 * MaskExchange::share_bytes);
    }
    SECTION("also where the shorter list came first") {
        REQUIRE(member.take(scene.place(number), other));
        CHECK(member.take(scene.place(number), *word).error().code == Code::bad_participants);
    }
    SECTION("and lists that are too short, hold strangers or leave the member out are refused at once") {
        other.members = std::span(fewer).first(6);
        CHECK_FALSE(member.take(scene.place(number), other));
        fewer.back() = 1000;
        other.members = fewer;
        CHECK_FALSE(member.take(scene.place(number), other));
        fewer.assign(word->members.begin(), word->members.end());
        std::erase(fewer, number);
        other.members = fewer;
        CHECK_FALSE(member.take(scene.place(number), other));
        CHECK(member.answer() == nullptr);
    }
}

TEST_CASE(
    "an update is masked once in an attempt, with the same bytes whenever it is asked for, and anew in the next") {
    Scene scene(6, 8, settings_of());
    reach(scene, Stage::updates);
    const std::uint32_t number = scene.numbers[1];
    MaskMember& member = *scene.members.at(number);
    REQUIRE(scene.exchange(number));
    const Update update = scene.update(number);
    REQUIRE(member.ready(update));
    const auto first = member.masked(update).bytes;
    const std::vector<std::byte> bytes(first.begin(), first.end());
    CHECK(std::ranges::equal(member.masked(update).bytes, bytes));
    Update later = update;
    ++later.sequence;
    CHECK_FALSE(member.ready(later));  // what masks two sums shows their difference

    SECTION("what was not opened is masked anew by another attempt, under other keys") {
        scene.settings.attempt = 78;
        scene.round = std::make_unique<MaskRound>(scene.settings, scene.numbers, seeded(8, 1));
        reach(scene, Stage::updates);
        REQUIRE(scene.exchange(number));
        CHECK(member.may_mask(update));
        CHECK_FALSE(std::ranges::equal(member.masked(update).bytes, bytes));
    }
    SECTION("what a sum may hold that was opened is never masked again") {
        reach(scene, Stage::opening);
        REQUIRE(scene.exchange(number));
        scene.settings.attempt = 78;
        scene.round = std::make_unique<MaskRound>(scene.settings, scene.numbers, seeded(8, 1));
        for (const std::uint32_t each : scene.numbers) REQUIRE(scene.exchange(each));
        CHECK_FALSE(member.may_mask(update));
        CHECK(member.may_mask(later));
    }
    SECTION("an older model's update has no part in it") {
        Update old = update;
        --old.base_version;
        CHECK_FALSE(member.may_mask(old));
    }
}

TEST_CASE("what the coordinator hands on and sees says nothing that repeats: every word of an update is masked") {
    // With all values 0 what is sent would be 0, were it not masked; and bits are as often 0 as 1.
    MaskRoundSettings settings = settings_of(4096);
    Scene scene(9, 5, settings);
    for (auto& [number, values] : scene.values) std::ranges::fill(values, 0.0f);
    reach(scene, Stage::updates);
    for (const std::uint32_t number : scene.numbers) {
        REQUIRE(scene.exchange(number));
        const auto bytes = scene.members.at(number)->masked(scene.update(number)).bytes;
        std::size_t ones = 0;
        for (const std::byte byte : bytes)
            ones += static_cast<std::size_t>(std::popcount(std::to_integer<unsigned>(byte)));
        const double bits = 8.0 * static_cast<double>(bytes.size());
        CHECK(std::abs(static_cast<double>(ones) - bits / 2) < 5 * std::sqrt(bits) / 2);
    }
}

TEST_CASE("a share that was tampered with is found where it is opened, and a wrong one where it is used") {
    Scene scene(10, 8, settings_of());
    reach(scene, Stage::updates);
    const std::uint32_t number = scene.numbers[0];
    MaskExchange word = *scene.round->word_for(number);
    std::vector<std::byte> bytes(word.bytes.begin(), word.bytes.end());
    bytes[100] ^= std::byte{1};
    word.bytes = bytes;
    CHECK(scene.members.at(number)->take(scene.place(number), word).error().code == Code::handshake_failed);
    reach(scene, Stage::opening);
    for (const std::uint32_t each : scene.numbers) {
        MaskMember& member = *scene.members.at(each);
        REQUIRE(member.take(scene.place(each), *scene.round->word_for(each)));
        MaskExchange answer = *member.answer();
        std::vector<std::byte> shares(answer.bytes.begin(), answer.bytes.end());
        if (each == number) shares[5] ^= std::byte{1};
        answer.bytes = shares;
        REQUIRE(scene.round->take(each, answer));
    }
    scene.round->next();
    CHECK_FALSE(scene.round->sum());
    CHECK_THAT(scene.round->trouble(), Catch::Contains("do not fit"));
}

TEST_CASE("members clip updates to a norm and share the noise between them") {
    MaskRoundSettings settings = settings_of(2000);
    settings.terms.clip = settings.terms.range = 0.5f;
    settings.terms.noise = 0.8f;
    Scene scene(11, 10, settings);
    reach(scene, Stage::opening);
    for (const std::uint32_t number : scene.numbers) REQUIRE(scene.exchange(number));
    scene.round->next();
    REQUIRE(scene.round->sum());
    const MaskedSum& sum = *scene.round->sum();
    CHECK(sum.weight == 10);
    // The updates are normal, 3 sigma sqrt(2000) long, and come to 0.5: their sum is known but for the noise.
    const double unit = RingValues{32, settings.terms.value_bits, 0.5f, 1}.unit();
    double square = 0;
    for (std::size_t k = 0; k < sum.values.size(); ++k) {
        double expected = 0;
        for (const auto& [number, x] : scene.values) {
            double norm = 0;
            for (const float value : x) norm += static_cast<double>(value) * static_cast<double>(value);
            expected += 0.5 * static_cast<double>(x[k]) / std::sqrt(norm);
        }
        const double noise = unit * static_cast<double>(sum.values[k]) - expected;
        square += noise * noise;
    }
    // Ten parts, each as large as seven of them need: the threshold of ten.
    const double deviation = std::sqrt(square / 2000.0);
    CHECK(deviation == Approx(0.8 * 0.5 * std::sqrt(10.0 / 7.0)).epsilon(0.06));
}

TEST_CASE("every mask is the stream of RFC 8439, by whatever instructions, at any size and in both rings") {
    Stream random(3, 0, Purpose::lives);
    for (const std::size_t words : {1u, 7u, 127u, 128u, 129u, 500u, 4096u, 4097u}) {
        MaskKey key;
        for (std::byte& byte : key) byte = static_cast<std::byte>(random.bits64());
        ChaCha20 stream(key);
        std::vector<std::uint64_t> expected(words);
        for (std::uint64_t& word : expected) word = stream();
        for (const std::uint32_t bits : {32u, 64u}) {
            std::vector<std::uint64_t> sum(words), slow(words);
            add_mask(key, false, bits, sum);
            CHECK(sum == expected);  // a stream that is added to zeros
            add_stream(key, 0, false, bits, std::as_writable_bytes(std::span(slow)));
            CHECK(slow == expected);
            std::vector<std::uint64_t> other(words);
            for (std::uint64_t& word : other) word = random.bits64();
            const std::vector<std::uint64_t> before = other;
            add_mask(key, false, bits, other);
            for (std::size_t k = 0; k < words; ++k) {
                const std::uint64_t low = (before[k] + expected[k]) & 0xffffffffu;
                const std::uint64_t high = (before[k] >> 32) + (expected[k] >> 32);
                CHECK(other[k] == (bits == 64 ? before[k] + expected[k] : high << 32 | low));
            }
            add_mask(key, true, bits, other);
            CHECK(other == before);
        }
    }
}
