/** Settings that a person gives for a login, looked at before anything is done with them. Pure. */
import { z } from 'zod';
import { AppError } from '../errors.js';
import type { LoginSetting, ProviderFacts } from './facts.js';

/** By name; which names and values there are, the provider's file says. */
export const LoginSettings = z.record(z.string().max(32), z.string().max(256));
export type LoginSettings = z.infer<typeof LoginSettings>;

/** Each setting that is given, with its value. @throws AppError invalid_request for another name, or a value of another form */
export function checkedSettings(
  { name, login }: Pick<ProviderFacts, 'name' | 'login'>,
  given: LoginSettings,
): readonly { setting: LoginSetting; value: string }[] {
  const known = login?.settings ?? [];
  return Object.entries(given).map(([key, value]) => {
    const setting = known.find((one) => one.name === key);
    if (setting === undefined) {
      const names = known.map((one) => one.name).join(', ') || 'none';
      throw new AppError('invalid_request', `${name} has no setting of the name given; known: ${names}.`);
    }
    if (setting.pattern.exec(value)?.[0] === value) return { setting, value };
    throw new AppError('invalid_request', `What was given for ${key} is no ${setting.label}.`, { hint: setting.note });
  });
}
