import fc from 'fast-check';

/** What a person, Azure or the clock does to a rotation; numbers choose among what there is at that moment. */
export type Act =
  | { act: 'wait'; seconds: number }
  | { act: 'ask'; reason: 'requested' | 'compromised' }
  | { act: 'write by hand' | 'remove a password' | 'add a foreign password'; choice: number }
  | { act: 'disable' | 'enable' | 'delete' | 'recover' | 'purge'; which: 'current' | 'pending' }
  | { act: 'drop ownership' | 'give ownership' | 'lose the record' | 'crash' | 'jump' }
  | { act: 'trouble'; kind: 'none' | 'throttled' | 'answers lost' };

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const wait = fc
  .oneof(
    { weight: 4, arbitrary: fc.integer({ min: 1, max: 5 * MINUTE }) },
    { weight: 2, arbitrary: fc.integer({ min: MINUTE, max: 3 * HOUR }) },
    { weight: 1, arbitrary: fc.integer({ min: HOUR, max: 3 * DAY }) },
  )
  .map((seconds): Act => ({ act: 'wait', seconds }));

const byHand = fc.oneof(
  fc.constantFrom('requested' as const, 'compromised' as const).map((reason): Act => ({ act: 'ask', reason })),
  fc
    .record({
      act: fc.constantFrom('write by hand' as const, 'remove a password' as const, 'add a foreign password' as const),
      choice: fc.nat(20),
    })
    .map((act): Act => act),
  fc
    .record({
      act: fc.constantFrom(
        'disable' as const,
        'enable' as const,
        'delete' as const,
        'recover' as const,
        'purge' as const,
      ),
      which: fc.constantFrom('current' as const, 'pending' as const),
    })
    .map((act): Act => act),
  fc
    .constantFrom(
      'drop ownership' as const,
      'give ownership' as const,
      'lose the record' as const,
      'crash' as const,
      'jump' as const,
    )
    .map((act): Act => ({ act })),
  fc
    .constantFrom('none' as const, 'throttled' as const, 'answers lost' as const)
    .map((kind): Act => ({ act: 'trouble', kind })),
);

/** A history: waits and hands, in any order. */
export const histories = fc.array(fc.oneof({ weight: 3, arbitrary: wait }, { weight: 2, arbitrary: byHand }), {
  minLength: 1,
  maxLength: 25,
});
