/** Which settings a command takes behind its arguments, as `key=value`: for messages of the command line. */
import { finetuneKeys } from "../config/finetune.js";
import { type ConfigKey, configKeys } from "../config/keys.js";

/** Whose settings: those of a config of a fit, or those of a fine-tuning. */
export type SettingsOf = "config" | "finetune";

/**
 * The setting that a person means by `word`, as `learning-rate` means `optimizer.learning_rate`: its whole name or the
 * last part of one, dashes as underscores. Undefined where none or several are called so.
 */
export function settingCalled(word: string, of: SettingsOf): string | undefined {
  const keys: ReadonlyMap<string, ConfigKey> = of === "finetune" ? finetuneKeys : configKeys;
  const name = word.replaceAll("-", "_");
  const values = [...keys.values()].filter(({ isSection }) => !isSection).map(({ path }) => path);
  if (values.includes(name)) return name;
  const [only, ...others] = values.filter((path) => path.endsWith(`.${name}`));
  return others.length === 0 ? only : undefined;
}
