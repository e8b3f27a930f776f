type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T]

/** `T` with each key that may be undefined made optional instead. */
export type Defined<T> = Omit<T, OptionalKeys<T>> & {
  [K in OptionalKeys<T>]?: Exclude<T[K], undefined>
}

/**
 * Returns a copy of `fields` without the keys whose value is undefined: an absent optional property and one that is set to
 * undefined are different things to `exactOptionalPropertyTypes`, to strict schemas and to canonical JSON.
 */
export function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
