"""Every cap of runbookctl, hit. The numbers are read from the source, so that a test can't be left behind."""

import os
import re

from cli_harness import HERE, TestCase, main, wait_until

SOURCE = os.path.join(os.path.dirname(os.path.dirname(HERE)), 'src', 'ctl')


def constant(file, name):
    with open(os.path.join(SOURCE, file), encoding='utf-8') as f:
        text = re.search(r'^#define %s \(?([0-9u* ]+)\)?' % name, f.read(), re.M).group(1)
    value = 1
    for factor in text.split('*'):
        value *= int(factor.strip().rstrip('u'))
    return value


class Limits(TestCase):
    def start(self, *beats):
        self.fake.auto(*beats)
        self.ok('start', 'ship')
        self.fake.auto()
        self.fake.calls()
        return self.fake.last()

    def test_length_of_a_line(self):
        most = constant('feed.c', 'LINE_MAX_BYTES')
        run = self.start(['long_line', 2 * most + 100], ['end'])
        self.assertEqual([len(line) - len('dist | ') for line in self.ok('logs', str(run)).splitlines()], [most, most, 100])

    def test_what_the_last_lines_may_hold(self):
        most = constant('tail.c', 'KEEP_MAX')
        run = self.start(['long_line', most + 5000], ['end'])
        self.assertEqual(len(self.ok('logs', '-n', '1', '%d/dist' % run)), most)
        self.assertEqual(len(self.ok('logs', '%d/dist' % run)), most + 5000)

    def test_logs_of_failed_steps(self):
        most = constant('view.c', 'VIEW_LOGS_MAX')
        run = self.start(['fail_many', most + 5], ['end', 'failed'])
        text = self.ok('status', str(run))
        self.assertEqual((text.count('why '), text.count('part-')), (most, most + 5))
        self.assertEqual(len(self.fake.calls('ReadLog')), 2 * most)     # each until it has no more

    def test_failures_in_the_summary(self):
        most = constant('summary.c', 'FAILURES_SHOWN_MAX')
        self.fake.auto(['fail_many', most + 5], ['end', 'failed'])
        p = self.fake.ctl('start', 'ship', '--follow')
        self.assertEqual(p.stdout.decode().count('part-'), most)

    def test_inputs_in_the_head(self):
        most = constant('ctl-status.c', 'INPUT_SHOWN_MAX')
        run = self.start(['long_input', 10 * most])
        line = [line for line in self.ok('status', str(run)).splitlines() if 'long = ' in line][0]
        self.assertEqual(len(line[line.index('= ') + 2:]), most)

    def test_names_are_cut_in_the_tree(self):
        most = constant('view.c', 'NAME_WIDTH_MAX')
        run = self.start(['grow', 1])
        self.assertGreater(most, 20)
        self.assertIn('part-0', self.ok('status', str(run)))

    def test_runs_in_completion(self):
        self.fake.test('AddRuns', 'u', 80)
        p = self.fake.ctl('__complete', '--', '--user', 'status', '', user=False)
        self.assertEqual(len(p.stdout.splitlines()), constant('ctl-complete.c', 'RUNS_OFFERED'))

    def test_values_in_the_history(self):
        most = constant('history.c', 'VALUE_SHOWN_MAX')
        run = self.start(['tell_with', 'inputs-changed', {'changes': {'text': {'old': 'x' * 10 * most, 'new': 'y' * 10 * most}}}])
        line = [line for line in self.ok('history', str(run)).splitlines() if 'inputs changed' in line][0]
        old, new = line[line.index('text: ') + len('text: '):].split(' → ')
        self.assertEqual((len(old), len(new)), (most, most))

    def test_dead_letters(self):
        most = constant('ctl-dead-letters.c', 'LIST_DEFAULT')
        self.fake.test('AddRuns', 'us', most + 5, 'exhausted')
        self.assertEqual(len(self.ok('dead-letters', '--no-legend').splitlines()), most)
        self.assertEqual(len(self.ok('dead-letters', '--no-legend', '-n', 'all').splitlines()), most + 5)

    def test_tries_to_open_a_log(self):
        run = self.start()
        p = self.fake.popen('logs', '-f', str(run))
        self.addCleanup(p.kill)
        self.fake.beat(run, 'silent')
        seen, looks = [], []

        def polled(enough):
            calls = self.fake.calls()
            seen.extend(c for c in calls if c['member'] == 'OpenLog')
            looks.extend(c for c in calls if c['member'] == 'GetHistory')
            return enough()
        wait_until(lambda: polled(lambda: len(seen) >= constant('feed.c', 'OPEN_TRIES_MAX')), 'all tries')
        looks.clear()
        wait_until(lambda: polled(lambda: len(looks) >= 5), 'some looks more')
        self.assertEqual(len(seen), constant('feed.c', 'OPEN_TRIES_MAX'))
        self.fake.beat(run, 'end')
        self.assertEqual(p.wait(), 0)


if __name__ == '__main__':
    main()
