/** Looks at what an object keeps to itself: the simulator may see everything, and changes nothing without saying so. */
export function inside<T>(owner: object, name: string): T {
  return Reflect.get(owner, name) as T;
}
