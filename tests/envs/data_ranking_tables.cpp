// SPDX-License-Identifier: Apache-2.0
#include "envs/data_ranking.hpp"
#include "task_checks.hpp"

#include <filesystem>
#include <fstream>

using namespace dunlin;

namespace {

const std::string items = "movieId,g_War,g_Film-Noir,year\n10,1,0,0.5\n7,0,1,-1\n30,1,1,2\n";
const std::string header = "user_id,query_no,split,n,chosen,candidates,query_genre\n";
const std::string queries = header +
                            "5,0,train,2,1,10 7,War\n"
                            "5,1,train,3,0,30 7 10,Film-Noir\n"
                            "9,0,train,2,0,7 30,War\n"
                            "5,2,test,2,0,7 10,War\n"
                            "9,1,train,2,1,7 30,War\n";

struct Folder {
    std::string path;
    Folder() {
        path = (std::filesystem::temp_directory_path() / "dunlin-XXXXXX").string();
        REQUIRE(mkdtemp(path.data()) != nullptr);
    }
    ~Folder() { std::filesystem::remove_all(path); }

    FileResult<RankingData> load(const std::string& item_text, const std::string& query_text) const {
        std::ofstream(path + "/items.csv") << item_text;
        std::ofstream(path + "/queries.csv") << query_text;
        return load_ranking_folder(path);
    }
};

}  // namespace

TEST_CASE("ranking tables give users, their queries in order, candidates and contexts") {
    const Folder folder;
    const auto data = folder.load(items, queries);
    REQUIRE(data);
    CHECK(data->features == 3);
    CHECK(data->contexts == 2);
    REQUIRE(data->users.size() == 2);
    CHECK(data->users[0].name == 5);
    CHECK(data->users[1].name == 9);
    const auto train = data->of_user(0, RankingSplit::train), test = data->of_user(0, RankingSplit::test);
    REQUIRE(train.size() == 2);
    REQUIRE(test.size() == 1);
    CHECK(train[1].context == 1);
    CHECK(train[1].candidates == 3);
    CHECK(data->view().item(train[1], 0)[2] == 2.0f);
    CHECK(data->view().item(train[1], 2)[2] == 0.5f);
    CHECK(data->view().inputs() == 5);
    CHECK(data->longest() == 3);
    CHECK(data->of_user(1, RankingSplit::train)[1].user == 1);
    CHECK(data->of_user(1, RankingSplit::test).empty());
}

TEST_CASE("validation is the last fifth of what a user trains on, and the latest are the last") {
    RankingData data;
    for (int k = 0; k < 14; ++k) data.queries.push_back({.context = k, .candidates = 2});
    data.users = {{1, 0, 11, 3}};
    const auto first = [&](RankingSplit split, std::size_t latest = 0) {
        return data.of_user(0, split, latest).front().context;
    };
    CHECK(data.of_user(0, RankingSplit::fit).size() == 8);
    CHECK(first(RankingSplit::validation) == 8);
    CHECK(data.of_user(0, RankingSplit::validation).size() == 3);
    CHECK(first(RankingSplit::train) == 0);
    CHECK(first(RankingSplit::test) == 11);
    CHECK(first(RankingSplit::fit, 5) == 3);
    CHECK(first(RankingSplit::train, 100) == 0);
}

TEST_CASE("a damaged ranking table is refused with the file and the line") {
    const Folder folder;
    const auto refused = [&](const std::string& item_text, const std::string& query_text) {
        const auto data = folder.load(item_text, query_text);
        REQUIRE_FALSE(data);
        return data.error().error;
    };
    const auto bad_line = [&](const std::string& line) { return refused(items, queries + line + "\n"); };
    CHECK(bad_line("5,3,train,2,1,10 7") == Error{Code::column_count, 7, 6});
    CHECK(bad_line("x,3,train,2,1,10 7,War") == Error{Code::bad_number, 7, 1});
    CHECK(bad_line("5,3,later,2,1,10 7,War") == Error{Code::file_syntax, 7, 3});
    CHECK(bad_line("5,3,train,3,1,10 7,War") == Error{Code::candidate_count, 7, 2});
    CHECK(bad_line("5,3,train,1,0,10,War") == Error{Code::candidate_count, 7, 1});
    CHECK(bad_line("5,3,train,2,2,10 7,War") == Error{Code::chosen_outside, 7, 2});
    CHECK(bad_line("5,3,train,2,-1,10 7,War") == Error{Code::chosen_outside, 7, -1});
    CHECK(bad_line("5,3,train,2,1,10 8,War") == Error{Code::unknown_item, 7, 8});
    CHECK(bad_line("5,3,train,2,1,10 b,War") == Error{Code::bad_number, 7, 6});
    CHECK(bad_line("5,3,train,3,1,10 7 10,War") == Error{Code::repeated_item, 7, 10});
    CHECK(bad_line("5,3,train,2,1,10 7,Peace") == Error{Code::unknown_context, 7, 0});
    CHECK(refused(items, header + "77,3,test,2,1,10 7,War\n") == Error{Code::no_queries, 77, 0});
    CHECK(refused(items, header).code == Code::file_truncated);
    CHECK(refused(items, "") == Error{Code::file_truncated, 0, 1});
    CHECK(refused(items, "user_id,split\n") == Error{Code::column_missing, 1, 1});
    CHECK(refused(items + "10,1,0,0.5\n", queries) == Error{Code::repeated_item, 5, 10});
    CHECK(refused(items + "11,1,0\n", queries) == Error{Code::column_count, 5, 3});
    CHECK(refused(items + "11,1,0,inf\n", queries) == Error{Code::bad_number, 5, 4});
    CHECK(refused("movieId,year\n1,2\n", queries) == Error{Code::column_missing, 1, 1});
    CHECK(folder.load(items + "11,1,0\n", queries).error().path == folder.path + "/items.csv");
    std::filesystem::remove(folder.path + "/items.csv");
    CHECK(load_ranking_folder(folder.path).error().path == folder.path + "/items.csv");
    CHECK(load_ranking_folder(folder.path).error().error.code == Code::file_missing);
}

TEST_CASE("ranking tables are CSV as spreadsheets and pandas write it [RFC 4180]") {
    const Folder folder;
    const auto plain = folder.load(items, queries);
    REQUIRE(plain);
    const auto replaced = [](std::string text, std::string_view from, const std::string& to) {
        for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
            text.replace(at, from.size(), to);
        return text;
    };
    std::string titled = replaced(queries, "query_genre\n", "query_genre,title\n");
    titled = replaced(titled, ",War\n", ",War,\"Ark, \"\"The\"\"\n2\"\n");
    titled = replaced(titled, "Film-Noir\n", "Film-Noir,\n");
    const std::pair<std::string, std::string> same[] = {
        {items + "\n", queries + "\n\n"},
        {"\xef\xbb\xbf" + items, "\xef\xbb\xbf" + queries},
        {replaced(items, "\n", "\r\n"), replaced(queries, "\n", "\r\n")},
        {items.substr(0, items.size() - 1), queries.substr(0, queries.size() - 1)},
        {replaced(items, ",", " , "), replaced(queries, ",", ",\t")},
        {replaced(items, "g_", "G_"), replaced(queries, "user_id", "User_ID")},
        {replaced(items, "7,0,1,-1", "\"7\",\"0\",+1,-1.0e0"), replaced(queries, "10 7", "\" 10  7 \"")},
        {items, titled}};
    for (const auto& [item_text, query_text] : same) {
        INFO(item_text << query_text);
        const auto data = folder.load(item_text, query_text);
        if (!data) FAIL(data.error().detail);
        CHECK(data->items == plain->items);
        CHECK(data->candidates == plain->candidates);
        CHECK(data->users.size() == plain->users.size());
    }
    const std::pair<std::string, std::string> wrong[] = {
        {queries + "5,3,\"train,2,1,10 7,War\n", "line 7: a field begins with a quote"},
        {queries + "5,3,\"train\"s,2,1,10 7,War\n", "line 7: 's' stands behind the field 'train'"},
        {titled + "5,3,train,2,1,10 8,War,a\n", "line 11: '10 8' stands in field 6 ('candidates')"},
        {queries + "5,3,train,2,1,10 7,\x1b[31mWar\n", "line 7: '\\x1b[31mWar' stands in field 7 ('query_genre')"},
        {queries + "5,3,train,3,1,7 10 7,War\n",
         "line 7: '7 10 7' stands in field 6 ('candidates'); expected each item once, and 7 stands there again"},
        {replaced(queries, ",", ";"), "has no column user_id"}};
    for (const auto& [query_text, expected] : wrong) {
        const auto data = folder.load(items, query_text);
        REQUIRE_FALSE(data);
        INFO(data.error().detail);
        CHECK(data.error().detail.find(expected) != std::string::npos);
    }
}

TEST_CASE("a user without a query to train on is left out, and said") {
    const Folder folder;
    const auto data = folder.load(items, header + "77,3,test,2,1,10 7,War\n" + queries.substr(header.size()));
    REQUIRE(data);
    REQUIRE(data->users.size() == 2);
    CHECK(data->users[0].name == 5);
    CHECK(data->of_user(1, RankingSplit::train)[0].user == 1);
    REQUIRE(data->notes.size() == 1);
    CHECK(data->notes[0].key == "users_without_training");
    CHECK(data->notes[0].count == 1);
}

TEST_CASE(
    "an item feature of a small deviation is kept where items are standardised, and else said to be blurred") {
    const Folder folder;
    const std::string times = "id,g_War,g_Film-Noir,time\n10,1,0,1700000001\n7,0,1,1700000002\n30,1,1,1700000003\n";
    auto scaled = folder.load(times, queries), plain = scaled;
    REQUIRE(scaled);
    scaled->standardise();
    CHECK(scaled->notes.empty());
    CHECK(scaled->items[2] != scaled->items[5]);
    plain->restore_origin();
    CHECK(plain->items[2] == 1.7e9f);
    REQUIRE(plain->notes.size() == 1);
    CHECK(plain->notes[0].key == "blurred_features");
}

TEST_CASE("standardised items have mean 0 and variance 1 over the candidates that models fit") {
    auto data = draw_ranking_data({.users = 20, .features = 5}, 3);
    REQUIRE(data);
    for (std::size_t k = 0; k < data->items.size(); k += 5) {
        data->items[k] = 3.0f + 2.0f * data->items[k];
        data->items[k + 1] = 4.0f;
    }
    data->standardise();
    double sum[5] = {}, square[5] = {}, count = 0;
    for (std::size_t user = 0; user < 20; ++user) {
        for (const RankingQuery& query : data->of_user(user, RankingSplit::fit)) {
            for (int c = 0; c < query.candidates; ++c, ++count) {
                for (int f = 0; f < 5; ++f) {
                    const double x = data->view().item(query, c)[f];
                    sum[f] += x;
                    square[f] += x * x;
                }
            }
        }
    }
    for (int f : {0, 2, 3, 4}) {
        CHECK(sum[f] / count == Approx(0.0).margin(1e-4));
        CHECK(square[f] / count == Approx(1.0).epsilon(1e-3));
    }
    CHECK(square[1] == 0.0);
}

TEST_CASE("generated searches have the shape that was asked for and come from the seed") {
    const auto data = draw_ranking_data({}, 7), same = draw_ranking_data({}, 7), other = draw_ranking_data({}, 8);
    REQUIRE(data);
    CHECK(data->users.size() == 200);
    CHECK(data->candidates == same->candidates);
    CHECK(data->candidates != other->candidates);
    std::size_t least = 1000, most = 0, shortest = 100, longest = 0, queries_sum = 0;
    for (const RankingData::User& user : data->users) {
        least = std::min(least, user.train + user.test);
        most = std::max(most, user.train + user.test);
        queries_sum += user.train + user.test;
        CHECK(static_cast<double>(user.test) ==
              Approx(0.2 * static_cast<double>(user.train + user.test)).margin(1.0));
    }
    for (const RankingQuery& query : data->queries) {
        shortest = std::min<std::size_t>(shortest, query.candidates);
        longest = std::max<std::size_t>(longest, query.candidates);
        CHECK(query.chosen < query.candidates);
    }
    CHECK(least >= 30);
    CHECK(most <= 100);
    CHECK(queries_sum == data->queries.size());
    CHECK(static_cast<double>(queries_sum) / 200 == Approx(65).margin(5));
    CHECK(shortest == 2);
    CHECK(longest == 25);
    CHECK(draw_ranking_data({.users = 0}, 1).error() == Error{Code::bad_setting, 0, 0});
    CHECK(draw_ranking_data({.candidates_most = 65}, 1).error().code == Code::bad_setting);
    CHECK(draw_ranking_data({.test_fraction = 1.0f}, 1).error() == Error{Code::no_queries, 0, 0});
}

TEST_CASE("what a generated user prefers is partly common and partly their own") {
    const auto data = draw_ranking_data({.users = 60}, 7);
    const MlpShape shape = *MlpShape::make(data->view().inputs(), {}, 1, Activation::tanh, false, false);
    const Ranking<float>::Settings settings{.loss = RankingLoss::choice, .batch = 100};
    TestMemory memory(Ranking<float>::bytes(shape, settings));
    auto task = *Ranking<float>::make(shape, generic_kernels<float>(), data->view(), settings, memory.arena);
    std::vector<float> common(shape.parameters()), own, g(shape.parameters());
    Stream random(1, 0, Purpose::samples);
    const auto train = [&](std::vector<float>& w, int steps) {
        for (int t = 0; t < steps; ++t) {
            task.draw(0, w, random);
            task.gradient(0, w, g);
            for (std::size_t k = 0; k < w.size(); ++k) w[k] -= 0.3f * g[k];
        }
    };
    std::vector<RankingQuery> all;
    for (std::size_t u = 0; u < 60; ++u) {
        for (const RankingQuery& query : data->of_user(u, RankingSplit::train)) all.push_back(query);
    }
    task.node = all;
    train(common, 150);
    RankingScore shared, personal;
    for (std::size_t u = 0; u < 60; ++u) {
        own = common;
        task.node = data->of_user(u, RankingSplit::train);
        train(own, 40);
        shared.add(task.evaluate(data->of_user(u, RankingSplit::test), common));
        personal.add(task.evaluate(data->of_user(u, RankingSplit::test), own));
    }
    CHECK(shared.normalised_mrr() > 0.15);
    CHECK(personal.normalised_mrr() > shared.normalised_mrr() + 0.08);
}
