/** @returns where the program is, or why it could not be had */
export function borrow(name: string, program: string): Promise<{ path: string } | { missing: string }>;
