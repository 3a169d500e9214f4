/** The agent of this version under a controller of each landed one: its config drive, its calls, and answers that it takes. */
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { canonicalJson, decodeDrive, driveSize, encodeSlot } from '@airlock/contract/config-drive';
import { ErrorResponse } from '@airlock/contract/errors';
import {
  CheckResult,
  CredentialBundle,
  GuestCredentials,
  GuestHealth,
  LoginInput,
  LoginRequest,
  LoginStatus,
  PromptFrame,
  PromptRequest,
} from '@airlock/contract/guest';
import { agentBundle } from '../support/custody/cli-vm.js';
import { callAgent, formOf, slotBytes, type Exchange, type GuestRecord } from '../support/guest-calls.js';
import { landedVersions } from '../support/landed.js';

const recorded = (
  await Promise.all((await landedVersions()).map(async (one) => ({ ...one, record: await one.guest() })))
).filter((one): one is typeof one & { record: GuestRecord } => one.record !== null);

const nameOf = ({ method, path }: Exchange): string => `${method} ${path}`;
const bodies: [RegExp, z.ZodType][] = [
  [/^POST \/login$/, LoginRequest],
  [/^POST \/login\/input$/, LoginInput],
  [/^PUT \/credentials/, CredentialBundle],
  [/^POST \/prompts$/, PromptRequest],
];
const answers: [RegExp, z.ZodType][] = [
  [/\/health$|\/reload$/, GuestHealth],
  [/ \/login/, LoginStatus],
  [/ \/credentials$/, GuestCredentials],
  [/^GET \/credentials\//, CredentialBundle],
  [/ \/checks\//, CheckResult],
  [/ \/prompts$/, PromptFrame.array()],
];
const schemaOf = (schemas: typeof bodies, call: Exchange): z.ZodType | undefined =>
  schemas.find(([names]) => names.test(nameOf(call)))?.[1];

describe.each(recorded)('with a controller of version $version', ({ record }) => {
  const calls = record.agents.flatMap((agent) => agent.calls);

  it('the agent of this version answers each call, with the members that it knows and no others', async () => {
    for (const agent of record.agents) {
      for (const [position, call] of (await callAgent(agentBundle, record.programs, agent)).entries()) {
        const before = agent.calls[position];
        expect([call.status, formOf(call.answer)], nameOf(call)).toEqual([before?.status, formOf(before?.answer)]);
      }
    }
  }, 60_000);

  it('what is sent is what this version sends: nothing that an agent of that version would refuse', () => {
    for (const call of calls) {
      if (call.body === undefined) continue;
      expect(schemaOf(bodies, call)?.parse(call.body), nameOf(call)).toEqual(call.body);
    }
    for (const { slot } of calls) {
      if (!slot) continue;
      const image = Buffer.alloc(driveSize);
      slotBytes(slot).copy(image, slot.offset);
      const written = encodeSlot(decodeDrive(image));
      expect(written.offset).toBe(slot.offset);
      expect(written.bytes.equals(slotBytes(slot))).toBe(true);
    }
  });

  it('what its own agent answers is understood whole by the controller of this version', () => {
    for (const call of calls) {
      if (call.answer === null) continue;
      const schema = call.status < 400 ? schemaOf(answers, call) : ErrorResponse;
      expect(canonicalJson(schema?.parse(call.answer)), nameOf(call)).toBe(canonicalJson(call.answer));
    }
  });
});
