// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
//
// What C++ makes of pthread's objects: a bounded queue of std::condition_variable,
// std::timed_mutex, std::recursive_mutex, condition_variable_any, call_once, futures.
// Prints what is wrong; the exit status is 0 if nothing is.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;

static int bad;

static void check(bool good, const char *what)
{
	if (!good) {
		std::printf("not so: %s\n", what);
		bad = 1;
	}
}

struct Queue {
	std::mutex m;
	std::condition_variable some, room;
	std::deque<int> items;

	void put(int n)
	{
		std::unique_lock<std::mutex> lock(m);
		room.wait(lock, [&] { return items.size() < 3; });
		items.push_back(n);
		some.notify_one();
	}
	int get()
	{
		std::unique_lock<std::mutex> lock(m);
		while (!some.wait_for(lock, 1ms, [&] { return !items.empty(); }))
			;
		int n = items.front();
		items.pop_front();
		room.notify_one();
		return n;
	}
};

static void queue()
{
	constexpr int each = 5000;
	std::atomic<long> sum{0};
	std::vector<std::thread> threads;
	Queue q;

	for (int i = 0; i < 3; i++)
		threads.emplace_back([&] {
			for (int n = 1; n <= each; n++)
				q.put(n);
		});
	for (int i = 0; i < 3; i++)
		threads.emplace_back([&] {
			for (int n = 0; n < each; n++)
				sum += q.get();
		});
	for (auto &t : threads)
		t.join();
	check(sum == 3L * each * (each + 1) / 2, "the queue's sum");
}

static void timed()
{
	std::timed_mutex m;

	check(m.try_lock_for(1ms), "a timed mutex that is free");
	std::thread([&] {
		check(!m.try_lock_for(20ms), "a timed mutex that is held");
		check(!m.try_lock_until(std::chrono::system_clock::now() + 5ms),
		      "... by the other clock");
	}).join();
	m.unlock();
}

static void rest()
{
	std::recursive_mutex r;
	std::condition_variable_any any;
	std::once_flag once;
	int calls = 0;

	r.lock();
	r.lock();
	check(any.wait_for(r, 5ms) == std::cv_status::timeout, "wait_for of any");
	r.unlock();
	r.unlock();
	check(std::async(std::launch::async, [] { return 42; }).get() == 42, "async");
	std::call_once(once, [&] { calls++; });
	std::call_once(once, [&] { calls++; });
	check(calls == 1, "call_once");
}

int main(int argc, char **argv)
{
	std::mutex m;

	m.lock();
	check((*reinterpret_cast<int *>(m.native_handle()) == gettid()) ==
		      (argc > 1 && std::strcmp(argv[1], "pthread") != 0),
	      "whose mutex it is");
	m.unlock();
	queue();
	timed();
	rest();
	return bad;
}
