/** `airlock config`: every setting, its value in force, its default and its meaning. */
import type { Command } from 'commander';
import {
  readSettings,
  settingDefinitions,
  shownSetting,
  type SettingName,
  type Settings,
} from '@airlock/contract/settings';
import { print, printJson } from '../lib/output.js';

export interface SettingRow {
  name: string;
  value: string;
  default: string;
  source: 'environment' | 'default';
  about: string;
}

/** One row a setting. A secret is only ever `set` or `not set`. */
export function settingRows(settings: Settings, env: NodeJS.ProcessEnv): SettingRow[] {
  return Object.entries(settingDefinitions).map(([name, definition]) => {
    const setting = name as SettingName;
    return {
      name,
      value: shownSetting(setting, settings[setting]),
      default: shownSetting(setting, definition.schema.safeParse(undefined).data),
      source: env[name] ? 'environment' : 'default',
      about: definition.about,
    };
  });
}

function describe(row: SettingRow): string {
  const origin = row.source === 'default' ? 'default' : `from the environment; default ${row.default}`;
  return `${row.name} = ${row.value}   (${origin})\n    ${row.about}`;
}

export function addConfig(program: Command): void {
  program
    .command('config')
    .description('List every setting: value in force, default, meaning. Secrets are shown as set or not set.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  AIRLOCK_PORT=4100 airlock config')
    .action(({ json }: { json?: boolean }) => {
      const rows = settingRows(readSettings(), process.env);
      if (json) printJson({ settings: rows });
      else print(rows.map(describe).join('\n'));
    });
}
